//! What a run claims, and whether it held.

use serde::{Deserialize, Serialize};

/// One claim with the figure it was judged by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// A stable name, in kebab case.
    pub key: String,
    /// Whether it held.
    pub holds: bool,
    /// What was measured, in words and figures.
    pub figure: String,
}

impl Fact {
    /// A claim under a stable name.
    pub fn new(key: impl Into<String>, holds: bool, figure: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            holds,
            figure: figure.into(),
        }
    }
}
