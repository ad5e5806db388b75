//! What is wrong with a configuration, and where: `demux.toml:12: gateway[1].address: sentence`.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One thing that is wrong, or suspicious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    file: PathBuf,
    /// Line and, for a fault in the TOML itself, column; both from 1.
    position: Option<(usize, Option<usize>)>,
    field: String,
    sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        match self.position {
            Some((line, Some(column))) => write!(f, "{line}:{column}:")?,
            Some((line, None)) => write!(f, "{line}:")?,
            None => {}
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.sentence)
    }
}

/// A configuration that was refused: everything that is wrong with it, one problem a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// What is wrong, in the order of the file; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The text of a configuration file: it turns byte positions into lines.
#[derive(Debug, Clone)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |sentence: String| ConfigError {
            problems: vec![Problem {
                file: path.to_owned(),
                position: None,
                field: String::new(),
                sentence,
            }],
        };
        let bytes = std::fs::read(path)
            .map_err(|error| refuse(format!("the configuration cannot be read: {error}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| refuse("the configuration is not UTF-8 text".to_owned()))?;
        Ok(Self::new(path, text))
    }

    pub(super) fn new(path: &Path, text: String) -> Self {
        Self {
            path: path.to_owned(),
            text,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A path in the file: relative to the directory that the file is in.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        match self.path.parent() {
            Some(directory) => directory.join(path),
            None => PathBuf::from(path),
        }
    }

    /// The error of a text that does not fit the schema.
    pub(super) fn malformed(&self, mut error: toml::de::Error) -> ConfigError {
        let position = error.span().map(|span| {
            let before = self.before(span.start);
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            (line_of(before), Some(column))
        });
        let sentence = error.message().replace('\n', ", ");
        // Without its input the error displays its message and then the field, as "in `a.b`".
        error.set_input(None);
        let displayed = error.to_string();
        let field = displayed
            .trim_end()
            .rsplit_once("\nin `")
            .and_then(|(_, field)| field.strip_suffix('`'))
            .unwrap_or_default()
            .to_owned();
        ConfigError {
            problems: vec![Problem {
                file: self.path.clone(),
                position,
                field,
                sentence,
            }],
        }
    }

    fn problem(&self, at: Range<usize>, field: String, sentence: String) -> Problem {
        Problem {
            file: self.path.clone(),
            position: Some((line_of(self.before(at.start)), None)),
            field,
            sentence,
        }
    }

    fn before(&self, position: usize) -> &str {
        self.text.get(..position).unwrap_or(&self.text)
    }
}

fn line_of(before: &str) -> usize {
    before.matches('\n').count() + 1
}

/// Collects what is wrong, so that one run names it all.
pub(super) struct Report<'a> {
    source: &'a Source,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn source(&self) -> &'a Source {
        self.source
    }

    /// Notes a problem at a place in the file.
    pub(super) fn refuse(
        &mut self,
        at: Range<usize>,
        field: impl fmt::Display,
        sentence: impl fmt::Display,
    ) {
        self.problems.push(
            self.source
                .problem(at, field.to_string(), sentence.to_string()),
        );
    }

    /// Notes something suspicious that does not stop a start.
    pub(super) fn warn(
        &mut self,
        at: Range<usize>,
        field: impl fmt::Display,
        sentence: impl fmt::Display,
    ) {
        self.warnings.push(
            self.source
                .problem(at, field.to_string(), sentence.to_string()),
        );
    }

    /// The line of a place, to point at it from another one.
    pub(super) fn line(&self, at: Range<usize>) -> usize {
        line_of(self.source.before(at.start))
    }

    /// The outcome and the warnings if nothing was refused, else the error.
    pub(super) fn finish<T>(
        mut self,
        outcome: Option<T>,
    ) -> Result<(T, Vec<Problem>), ConfigError> {
        match outcome {
            Some(outcome) if self.problems.is_empty() => Ok((outcome, self.warnings)),
            _ => {
                self.problems.sort_by_key(|problem| problem.position);
                Err(ConfigError {
                    problems: self.problems,
                })
            }
        }
    }
}
