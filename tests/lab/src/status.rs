//! A role's `/status` document, which is also its last line on standard output.
//! Read from outside: fields added later are ignored, and counters missing are 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Packets by reason; only reasons that occurred.
pub type Reasons = BTreeMap<String, u64>;

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// `demux` or `gateway`.
    pub role: String,
    /// The NIC it works on.
    pub nic: Nic,
    /// Attached, and its sockets bound.
    pub ready: bool,
    /// Set in the last document, after a drain within its time.
    pub drained: bool,
    /// What the XDP program counted.
    pub steering: Steering,
    /// Its workers, if it carries gateways.
    pub workers: Vec<Worker>,
}

/// The NIC of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// `driver` or `skb`: what is in force.
    pub xdp_mode: String,
    /// In bytes.
    pub mtu: u32,
}

/// What the XDP program did with packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Steering {
    /// Packets seen.
    pub received: u64,
    /// Given to an AF_XDP socket.
    pub to_worker: u64,
    /// Sent on to a remote gateway.
    pub to_gateway: u64,
    /// Dropped.
    pub drops: Reasons,
    /// Left to the kernel.
    pub punts: Reasons,
    /// What each gateway was given.
    pub gateways: Vec<GatewayCount>,
}

/// The packets steered to one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayCount {
    /// Its name.
    pub name: String,
    /// Packets.
    pub packets: u64,
    /// Inner IP bytes.
    pub bytes: u64,
}

/// One worker of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// The gateway it works for.
    pub gateway: String,
    /// Its number there.
    pub worker: u32,
    /// The core it is pinned to.
    pub core: Option<u32>,
    /// `copy` or `zero-copy`: what is in force.
    pub copy_mode: String,
    /// Packets taken from the receive ring.
    pub received: u64,
    /// Packets transmitted that came from the receive ring.
    pub sent: u64,
    /// Packets the worker made itself.
    pub originated: u64,
    /// Packets that wait for a neighbour now.
    pub waiting: u64,
    /// Encrypted.
    pub sealed: Volume,
    /// Decrypted.
    pub opened: Volume,
    /// Dropped by the worker.
    pub drops: Reasons,
    /// Dropped by the kernel before the worker saw them.
    pub kernel_drops: Reasons,
    /// Its share of each peering.
    pub tunnels: Vec<Tunnel>,
    /// SAs that came and went.
    pub sa_changes: SaChanges,
    /// From receive to transmit.
    pub latency_ns: Latency,
    /// Frames of its UMEM share.
    pub frames: Frames,
}

/// A worker's share of one peering.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tunnel {
    /// The peering's name.
    pub peering: String,
    /// The largest outer packet that the path takes, in bytes.
    pub path_mtu: u32,
}

/// SAs of a worker that came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SaChanges {
    /// Inbound SAs added.
    pub installed: u64,
    /// Times that an outbound SA took over from another.
    pub switched: u64,
    /// Inbound SAs gone.
    pub retired: u64,
}

/// Packets and inner IP bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Inner IP bytes.
    pub bytes: u64,
}

/// Latency, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Packets measured.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Maximum.
    pub max: u64,
}

/// Where the frames of a worker are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Frames {
    /// All of them.
    pub total: u64,
    /// Those that no ring and no queue holds.
    pub home: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_ignored_and_missing_ones_zero() {
        let text = r#"{"role":"gateway","novelty":7,"steering":{"received":3,"drops":{"bad-icv":1}},
            "workers":[{"gateway":"gateway-1","core":1,"frames":{"total":8,"home":8,"lent":0}}]}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(status.steering.received, 3);
        assert_eq!(status.steering.drops["bad-icv"], 1);
        assert_eq!(
            (status.workers[0].core, status.workers[0].sent),
            (Some(1), 0)
        );
        assert_eq!(status.workers[0].frames.home, 8);
    }
}
