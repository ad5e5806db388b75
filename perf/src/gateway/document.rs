//! The JSON document of `perf gateway`.

use causeway_lab::status::Reasons;
use serde::Serialize;

use super::measure::{Calls, Cell, Idle, RampStep};
use crate::goal::Goal;
use crate::machine::Machine;

/// The document of `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document {
    /// Always `gateway`.
    pub kind: &'static str,
    /// 1. Incremented when a key changes its meaning or is removed.
    pub version: u32,
    /// The machine of the measurement.
    pub machine: Machine,
    /// Load average of one minute, before and after; `null` if unknown.
    pub load: [Option<f64>; 2],
    /// The AEAD of the tunnel.
    pub cipher: &'static str,
    /// Number of rounds. Each figure is the median of its rounds.
    pub rounds: u32,
    /// Length of a turn, in milliseconds.
    pub window_ms: u64,
    /// Packets that arrive in one batch.
    pub batch: u32,
    /// The core of the gateway and of the plain forwarder.
    pub core: usize,
    /// The core that generates the packets.
    pub load_core: usize,
    /// The figures of each subject and workload.
    pub figures: Vec<Cell>,
    /// The gateway's system calls, by workload.
    pub calls: Vec<Calls>,
    /// The gateway without traffic.
    pub idle: Idle,
    /// The gateway under rising load.
    pub ramp: Vec<RampStep>,
    /// Packets that the gateway's worker dropped in all turns, by reason.
    pub drops: Reasons,
    /// Packets that the kernel dropped before the worker received them, in all turns, by reason.
    pub kernel_drops: Reasons,
    /// The goals and their results.
    pub goals: Vec<Goal>,
}
