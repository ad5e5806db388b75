//! Collects the errors and warnings of one configuration, so that one run reports all of them.

use std::fmt;
use std::ops::Range;

use crate::error::{ConfigError, Problem};
use crate::source::Source;

/// The errors and warnings that the steps of a validation found.
pub(crate) struct Report<'a> {
    source: &'a Source,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self {
            source,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn source(&self) -> &'a Source {
        self.source
    }

    /// Adds an error at a byte range of the file.
    pub(crate) fn error(
        &mut self,
        at: Range<usize>,
        field: impl fmt::Display,
        message: impl fmt::Display,
    ) {
        self.errors.push(
            self.source
                .problem(at, field.to_string(), message.to_string()),
        );
    }

    /// Adds a warning: a suspicious value that does not prevent a start.
    pub(crate) fn warn(
        &mut self,
        at: Range<usize>,
        field: impl fmt::Display,
        message: impl fmt::Display,
    ) {
        self.warnings.push(
            self.source
                .problem(at, field.to_string(), message.to_string()),
        );
    }

    /// The line of a byte range, for a message that refers to another place.
    pub(crate) fn line(&self, at: Range<usize>) -> usize {
        self.source.line(at)
    }

    /// The outcome and the warnings if there is no error, else the errors in the order of the file.
    pub(crate) fn finish<T>(
        mut self,
        outcome: Option<T>,
    ) -> Result<(T, Vec<Problem>), ConfigError> {
        match outcome {
            Some(outcome) if self.errors.is_empty() => Ok((outcome, self.warnings)),
            _ => {
                self.errors.sort_by_key(|problem| problem.position);
                Err(ConfigError {
                    problems: self.errors,
                })
            }
        }
    }
}

/// Items for a message, separated by commas; `none` if there are none.
pub(crate) fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let items: Vec<_> = items.iter().map(T::to_string).collect();
    items.join(", ")
}
