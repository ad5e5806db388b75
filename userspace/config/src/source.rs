//! The text of a configuration file, and the lines of its byte positions.

use std::ops::Range;
use std::path::{Path, PathBuf};

use causeway_keys::file::read_bounded;

use crate::error::{ConfigError, Problem};

/// The longest configuration file, in bytes: enough for all gateways, workers and tunnels.
const MAX_FILE: u64 = 4 << 20;

/// The path and text of a configuration file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |message: String| ConfigError {
            problems: vec![Problem {
                file: path.to_owned(),
                position: None,
                field: String::new(),
                message,
            }],
        };
        let bytes = read_bounded(path, MAX_FILE)
            .map_err(|error| refuse(format!("the configuration cannot be read: {error}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| refuse("the configuration is not UTF-8 text".to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A path from the configuration, relative to the directory of the configuration file.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        match self.path.parent() {
            Some(directory) => directory.join(path),
            None => PathBuf::from(path),
        }
    }

    /// The error for a text that does not match the schema.
    pub(crate) fn malformed(&self, mut error: toml::de::Error) -> ConfigError {
        let position = error.span().map(|span| {
            let before = self.before(span.start);
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            (line_of(before), Some(column))
        });
        let message = error.message().replace('\n', ", ");
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
                message,
            }],
        }
    }

    pub(crate) fn problem(&self, at: Range<usize>, field: String, message: String) -> Problem {
        Problem {
            file: self.path.clone(),
            position: Some((self.line(at), None)),
            field,
            message,
        }
    }

    /// The line of a byte range, from 1.
    pub(crate) fn line(&self, at: Range<usize>) -> usize {
        line_of(self.before(at.start))
    }

    fn before(&self, position: usize) -> &str {
        self.text.get(..position).unwrap_or(&self.text)
    }
}

fn line_of(before: &str) -> usize {
    before.matches('\n').count() + 1
}
