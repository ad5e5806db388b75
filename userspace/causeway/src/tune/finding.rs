//! What a check found.

use serde::{Serialize, Serializer};

/// The answer of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nothing to change.
    Ok,
    /// Something to change.
    Change,
    /// The host does not tell.
    Unknown,
    /// This host or role has no such thing.
    NotApplicable,
    /// Good to know; whether to change it is not for a program to say.
    Information,
}

impl Status {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Change => "change",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not applicable",
            Self::Information => "information",
        }
    }
}

/// One check's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name, which does not change between versions.
    pub name: &'static str,
    /// The answer.
    pub status: Status,
    /// What is, or why nothing can be said.
    pub is: String,
    /// What should be, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub should: Option<String>,
    /// Why it matters.
    pub why: &'static str,
    /// How to change it.
    #[serde(flatten)]
    pub remedy: Remedy,
}

/// How to change what a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// There is nothing to do.
    None,
    /// Commands for a person: they reset the NIC, need a restart, or touch more than this role.
    ByHand(Vec<String>),
    /// Settings that `--apply` may write: each takes effect at once, can be taken back, and leaves
    /// the link up.
    Writes(Vec<Setting>),
}

impl Remedy {
    /// One command for a person.
    pub fn by_hand(command: impl Into<String>) -> Self {
        Self::ByHand(vec![command.into()])
    }

    /// The commands that a person would type.
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::ByHand(commands) => commands.clone(),
            Self::Writes(settings) => settings.iter().map(Setting::command).collect(),
        }
    }

    /// What `--apply` may write.
    pub fn settings(&self) -> &[Setting] {
        match self {
            Self::Writes(settings) => settings,
            Self::None | Self::ByHand(_) => &[],
        }
    }
}

/// `commands`, and whether `--apply` carries them out.
impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape {
            commands: Vec<String>,
            apply: bool,
        }
        let shape = Shape {
            commands: self.commands(),
            apply: !self.settings().is_empty(),
        };
        shape.serialize(serializer)
    }
}

/// A file of the kernel's, its text, and what it should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where it is.
    pub path: String,
    /// What it holds.
    pub before: String,
    /// What it should hold.
    pub value: String,
}

impl Setting {
    /// The command that sets it.
    pub fn command(&self) -> String {
        format!("echo {} > {}", self.value, self.path)
    }

    /// The command that takes it back.
    pub fn undo(&self) -> String {
        format!("echo {} > {}", self.before, self.path)
    }
}

/// A check's name and reason, from which its findings are made.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// The check's name.
    pub name: &'static str,
    /// Why it matters.
    pub why: &'static str,
}

impl Check {
    /// Nothing to change.
    pub fn ok(self, is: impl Into<String>) -> Finding {
        self.finding(Status::Ok, is)
    }

    /// Something to change.
    pub fn change(
        self,
        is: impl Into<String>,
        should: impl Into<String>,
        remedy: Remedy,
    ) -> Finding {
        Finding {
            should: Some(should.into()),
            remedy,
            ..self.finding(Status::Change, is)
        }
    }

    /// The host does not tell.
    pub fn unknown(self, reason: impl Into<String>) -> Finding {
        self.finding(Status::Unknown, reason)
    }

    /// There is no such thing here.
    pub fn not_applicable(self, reason: impl Into<String>) -> Finding {
        self.finding(Status::NotApplicable, reason)
    }

    /// Good to know.
    pub fn information(self, is: impl Into<String>) -> Finding {
        self.finding(Status::Information, is)
    }

    fn finding(self, status: Status, is: impl Into<String>) -> Finding {
        Finding {
            name: self.name,
            status,
            is: is.into(),
            should: None,
            why: self.why,
            remedy: Remedy::None,
        }
    }
}
