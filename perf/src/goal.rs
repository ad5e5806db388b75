//! The result of a goal, in the documents of `curve`, `gateway` and `rescale`.

use serde::{Deserialize, Serialize};

/// A goal and its result.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Goal {
    /// The goal, as text.
    pub goal: String,
    /// Whether the goal is met.
    pub held: bool,
    /// The figure that decides, as text.
    pub figure: String,
}
