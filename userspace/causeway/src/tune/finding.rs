//! The result of a check.

use serde::Serialize;

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The setting is as recommended.
    Ok,
    /// The setting should change.
    Change,
    /// The host does not report the setting; `is` has the reason.
    Unknown,
    /// The host or role has no such setting, such as a CPU governor in a virtual machine.
    NotApplicable,
    /// For the operator to judge.
    Information,
}

impl Status {
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

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// The name of the setting, which does not change.
    pub name: &'static str,
    /// The kind of the finding.
    pub status: Status,
    /// The current value, or why it is unknown or not applicable.
    pub is: String,
    /// The recommended value; absent unless the setting should change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub should: Option<String>,
    /// Why the setting matters.
    pub why: &'static str,
    #[serde(flatten)]
    #[cfg_attr(test, schemars(with = "Commands"))]
    pub remedy: Remedy,
}

/// How to change a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Commands")]
pub enum Remedy {
    None,
    /// Commands for the operator, because they reset the NIC, need a restart, or affect more than this role.
    ByHand(Vec<String>),
    /// Settings that `--apply` writes: each takes effect at once, can be undone, and keeps the link up.
    Writes(Vec<Setting>),
}

impl Remedy {
    /// One command for the operator.
    pub fn by_hand(command: impl Into<String>) -> Self {
        Self::ByHand(vec![command.into()])
    }

    /// The commands that make the change.
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::ByHand(commands) => commands.clone(),
            Self::Writes(settings) => settings.iter().map(Setting::command).collect(),
        }
    }

    /// The settings that `--apply` writes.
    pub fn settings(&self) -> &[Setting] {
        match self {
            Self::Writes(settings) => settings,
            Self::None | Self::ByHand(_) => &[],
        }
    }
}

/// A remedy in JSON.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Commands {
    /// The commands that make the change; empty if there is nothing to change.
    commands: Vec<String>,
    /// Whether `--apply` runs the commands.
    apply: bool,
}

impl From<Remedy> for Commands {
    fn from(remedy: Remedy) -> Self {
        Self {
            commands: remedy.commands(),
            apply: !remedy.settings().is_empty(),
        }
    }
}

/// A file of the kernel, its value, and the recommended value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub path: String,
    pub before: String,
    pub value: String,
}

impl Setting {
    pub fn command(&self) -> String {
        format!("echo {} > {}", self.value, self.path)
    }

    pub fn undo(&self) -> String {
        format!("echo {} > {}", self.before, self.path)
    }
}

/// The parts of a finding that are the same on every host.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    pub name: &'static str,
    pub why: &'static str,
}

impl Check {
    pub fn ok(self, is: impl Into<String>) -> Finding {
        self.finding(Status::Ok, is)
    }

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

    pub fn unknown(self, reason: impl Into<String>) -> Finding {
        self.finding(Status::Unknown, reason)
    }

    pub fn not_applicable(self, reason: impl Into<String>) -> Finding {
        self.finding(Status::NotApplicable, reason)
    }

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
