//! The JSON document of `perf engine`.

use serde::Serialize;

use super::figures::Cell;
use super::goals::Goal;
use crate::machine::Machine;

/// The document of `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document {
    /// 1. Incremented when a key changes its meaning or is removed.
    pub version: u32,
    /// The machine of the measurement.
    pub machine: Machine,
    /// Load average of one minute, before and after; `null` if unknown.
    pub load: [Option<f64>; 2],
    /// The core of the measurement.
    pub core: usize,
    /// Number of rounds. Each figure is the median of its rounds.
    pub rounds: u32,
    /// Frames of each of the three rings.
    pub frames: usize,
    /// Size of a frame, in bytes.
    pub frame_bytes: usize,
    /// The measured figures.
    pub figures: Vec<Cell>,
    /// The goals and their results.
    pub goals: Vec<Goal>,
}
