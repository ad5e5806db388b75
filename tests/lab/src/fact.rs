//! A claim about a run, and whether it holds.

use serde::{Deserialize, Serialize};

/// A claim with the measured figure that decides it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fact {
    /// A stable name, in kebab case.
    pub key: String,
    /// Whether the claim holds.
    pub holds: bool,
    /// The figure that decides, as text.
    pub figure: String,
}

impl Fact {
    pub fn new(key: impl Into<String>, holds: bool, figure: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            holds,
            figure: figure.into(),
        }
    }
}
