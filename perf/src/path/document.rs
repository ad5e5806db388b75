//! The JSON document of `perf path`.

use serde::Serialize;

use super::figures::Cell;
use super::goals::Goal;
use super::peer;
use crate::machine::Machine;

/// The document of `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document {
    /// 1. Incremented when a key changes its meaning or is removed.
    pub version: u32,
    /// Always `path`.
    pub kind: &'static str,
    /// The machine of the measurement.
    pub machine: Machine,
    /// `git describe` of the working tree; `null` if unknown.
    pub commit: Option<String>,
    /// Load average of one minute, before and after; `null` if unknown.
    pub load: [Option<f64>; 2],
    /// The core of the measurement.
    pub core: usize,
    /// Number of rounds. Each figure is the median of its rounds.
    pub rounds: u32,
    /// The measured figures.
    pub figures: Vec<Cell>,
    /// The figures for which a figure of DPDK ipsec-secgw is given.
    pub peer: Vec<peer::Row>,
    /// The goals and their results.
    pub goals: Vec<Goal>,
}
