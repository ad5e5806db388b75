//! The document of a curve. `perf curve` writes it, `perf compare` reads it, and the HTML report shows it.
//! `docs/curve-report.md` is generated from these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::goal::Goal;
use crate::machine::Machine;
use crate::spread::Spread;

/// Incremented when a key changes its meaning.
pub const VERSION: u32 = 1;

/// A whole measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document {
    /// 1. Incremented when a key changes its meaning or is removed.
    pub version: u32,
    /// The machine of the measurement.
    pub machine: Machine,
    /// `git describe` of the working tree; `null` if unknown.
    pub commit: Option<String>,
    /// Start of the measurement, RFC 3339, UTC.
    pub began: String,
    /// Load average of one minute, before and after; `null` if unknown.
    pub load: [Option<f64>; 2],
    /// The options of the command.
    pub plan: Plan,
    /// The capped curve, then the uncapped curve. Either may be absent.
    pub curves: Vec<Series>,
    /// The goals and their results.
    pub goals: Vec<Goal>,
}

/// The options of the measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Plan {
    /// The measured numbers of gateways per VPC.
    pub gateways: Vec<u8>,
    /// `one-way` or `both`.
    pub direction: String,
    /// `peering` or `internet`.
    pub path: String,
    /// `remote` or `local`.
    pub placement: String,
    /// The AEAD.
    pub cipher: String,
    /// Duration of a run without its warm-up, in seconds.
    pub duration: u32,
    /// Time before each run that is not measured, in seconds.
    pub warm_up: u32,
    /// Runs of each point.
    pub repeat: u32,
    /// TCP connections per direction.
    pub streams: u16,
    /// Size of an inner UDP packet in bytes, or `imix`.
    pub udp_size: String,
    /// UDP packets per second and direction.
    pub udp_rate: u32,
    /// One-way delay of the trunk in milliseconds.
    pub delay_ms: f64,
}

/// One line of the chart.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Series {
    /// `capped` or `uncapped`.
    pub mode: String,
    /// The limits that the kernel enforces; `null` when uncapped.
    pub caps: Option<Caps>,
    /// The measured points.
    pub points: Vec<Point>,
    /// The points that could not be measured.
    pub failures: Vec<Failure>,
}

/// The limits of the reference and the scaled limits here, in Mbit/s over all loaded directions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Caps {
    /// Limit of one gateway in the reference.
    pub reference_gateway_mbit: f64,
    /// Limit of the VPC in the reference.
    pub reference_vpc_mbit: f64,
    /// The limits here are those of the reference divided by `scale`.
    pub scale: f64,
    /// The enforced limit of one gateway.
    pub gateway_mbit: f64,
    /// The enforced limit of the VPC.
    pub vpc_mbit: f64,
}

/// The figures of one number of gateways.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Point {
    /// Gateways per VPC.
    pub gateways: u8,
    /// Received TCP payload, in Mbit/s.
    pub tcp_mbit: Spread,
    /// The payload that the limits allow, min(n x gateway, VPC), in Mbit/s; `null` when uncapped.
    pub ideal_mbit: Option<f64>,
    /// Median of `tcp_mbit` over `ideal_mbit`; `null` when uncapped.
    pub efficiency: Option<f64>,
    /// Throughput of the reference with this number of gateways, not scaled, in Mbit/s; `null` if the reference
    /// did not measure this number.
    pub reference_mbit: Option<f64>,
    /// `reference_mbit` over the smaller of the reference's own limits; `null` with `reference_mbit`.
    pub reference_efficiency: Option<f64>,
    /// Retransmitted segments of all runs.
    pub retransmits: u64,
    /// Runs in which iperf3 did not end within 10 s after its duration, and the harness stopped it. Their
    /// figures cover the seconds that iperf3's receivers had reported.
    #[serde(default)]
    pub cut_off: u32,
    /// Numbered UDP packets beside TCP.
    pub udp: Udp,
    /// Part of the bytes that each gateway carried, in the order of the gateways. The sum is 1.
    pub shares: Vec<f64>,
    /// Dropped packets by reason, over all roles and runs, without zeros. `limit` counts packets for which
    /// the queue of a limit had no room.
    pub drops: BTreeMap<String, u64>,
    /// Parts of the machine's time, whose sum is 1: `user` and `system` of `gateways`, `demuxes` (with
    /// local gateways, which are their workers), `iperf3`, `generator` (the harness: numbered packets,
    /// the trunk's delay) and `others`, then `softirq`, `interrupts`, `stolen` and `idle`. The kernel
    /// accounts a softirq as system time of the process that it interrupts; here that time is
    /// subtracted from all processes in equal parts.
    pub time: BTreeMap<String, f64>,
}

/// A number of gateways as text.
pub fn gateways(count: u8) -> String {
    format!("{count} gateway{}", if count == 1 { "" } else { "s" })
}

/// Counts and one-way latencies of the numbered packets, over all runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Udp {
    /// Size of an inner packet in bytes, or `imix`.
    pub size: String,
    /// Sent packets.
    pub sent: u64,
    /// Lost packets.
    pub lost: u64,
    /// Packets reordered within their flow.
    pub reordered: u64,
    /// Duplicated packets.
    pub duplicated: u64,
    /// Median latency, in microseconds.
    pub p50_us: f64,
    /// 90th percentile of the latency, in microseconds.
    pub p90_us: f64,
    /// 99th percentile of the latency, in microseconds.
    pub p99_us: f64,
    /// 99.9th percentile of the latency, in microseconds.
    pub p999_us: f64,
    /// Maximum latency, in microseconds.
    pub max_us: f64,
}

/// A point that could not be measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// Gateways per VPC.
    pub gateways: u8,
    /// The error.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use causeway_json_docs::{check, written};

    use super::*;

    #[test]
    fn the_page_has_the_keys_of_the_document() {
        let lists = [("document", written::<Document>())];
        check("docs/curve-report.md", &lists, &[]);
    }
}
