//! The document of a curve: what `perf curve` writes, `perf compare` reads and the HTML report draws.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::spread::Spread;

/// Raised when a key changes its meaning.
pub const VERSION: u32 = 1;

/// A whole measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Document {
    /// [`VERSION`] of the harness that wrote it.
    pub version: u32,
    pub machine: Machine,
    /// Commit that was measured, or absent.
    pub commit: Option<String>,
    /// RFC 3339, UTC.
    pub began: String,
    /// Load average of one minute, before and after.
    pub load: [Option<f64>; 2],
    pub plan: Plan,
    /// The capped curve, then the uncapped one; either may be absent.
    pub curves: Vec<Series>,
    pub goals: Vec<Goal>,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub gateways: Vec<u8>,
    /// `one-way` or `both`.
    pub direction: String,
    /// `peering` or `internet`.
    pub path: String,
    /// `remote` or `local`.
    pub placement: String,
    pub cipher: String,
    /// Seconds of a run, without its warm-up.
    pub duration: u32,
    pub warm_up: u32,
    pub repeat: u32,
    /// TCP connections of each direction.
    pub streams: u16,
    /// Octets of an inner UDP packet, or `imix`.
    pub udp_size: String,
    /// UDP packets per second of each direction.
    pub udp_rate: u32,
    /// Milliseconds that the trunk adds to each way.
    pub delay_ms: f64,
}

/// One line of the chart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Series {
    /// `capped` or `uncapped`.
    pub mode: String,
    /// Limits that the kernel held, Mbit/s; absent when uncapped.
    pub caps: Option<Caps>,
    pub points: Vec<Point>,
    /// Numbers of gateways that could not be measured.
    pub failures: Vec<Failure>,
}

/// The reference's limits, and what they were scaled to here, in Mbit/s of the directions that are
/// loaded, together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Caps {
    /// Of one gateway.
    pub reference_gateway_mbit: f64,
    /// Of the VPC.
    pub reference_vpc_mbit: f64,
    /// What is held here: the reference's, divided by this.
    pub scale: f64,
    pub gateway_mbit: f64,
    pub vpc_mbit: f64,
}

/// One number of gateways.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    pub gateways: u8,
    /// TCP goodput, all directions together, Mbit/s.
    pub tcp_mbit: Spread,
    /// What the limits allow at most, as goodput: min(n x gateway, VPC); absent when uncapped.
    pub ideal_mbit: Option<f64>,
    /// tcp / ideal.
    pub efficiency: Option<f64>,
    /// What the reference measured with so many gateways, Mbit/s, unscaled, and its own efficiency.
    pub reference_mbit: Option<f64>,
    pub reference_efficiency: Option<f64>,
    pub retransmits: u64,
    /// Runs in which iperf3 did not end and was ended: their figure is of the seconds that its
    /// receivers had told.
    #[serde(default)]
    pub cut_off: u32,
    /// Numbered UDP packets beside TCP.
    pub udp: Udp,
    /// Part of the bytes that each gateway carried, in their order; sums to 1.
    pub shares: Vec<f64>,
    /// Packets by reason, of all roles together; zero ones left out. `limit` are those that the
    /// shaper of a cap dropped.
    pub drops: BTreeMap<String, u64>,
    /// Part of the machine's time, 0 to 1, by what used it (e.g. `gateways user`, `iperf3 system`, `softirq`, `idle`).
    pub time: BTreeMap<String, f64>,
}

/// So many gateways, in words.
pub fn gateways(count: u8) -> String {
    format!("{count} gateway{}", if count == 1 { "" } else { "s" })
}

/// The numbered packets: what became of them, and how long they took (microseconds, one way).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Udp {
    /// Octets of an inner packet, or `imix`.
    pub size: String,
    pub sent: u64,
    pub lost: u64,
    pub reordered: u64,
    pub duplicated: u64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

/// A point that could not be measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    pub gateways: u8,
    pub error: String,
}

/// A goal and whether it was held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Goal {
    pub goal: String,
    pub held: bool,
    pub figure: String,
}
