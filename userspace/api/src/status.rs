//! The status document: the body of `/status`, and the last line of a role on standard output.
//!
//! Counters are totals since the start of the process. Bytes are inner IP bytes. Maps of reasons
//! contain only the reasons that occurred. `docs/status.md` is generated from these types.

mod profile;
mod readiness;
mod tables;

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use profile::{Burst, Ring, Rings, Rounds, Stage};
pub use readiness::{NotReady, NotReadyReason};
pub use tables::{
    Changes, HeldPackets, MovedBuckets, Pair, PairState, PeerTable, RecoveredChange, Table,
};

/// Packets by the name of their reason.
pub type Reasons = BTreeMap<String, u64>;

/// The reasons of packets that the kernel drops between the XDP program and a worker, from the
/// statistics of the AF_XDP socket: name and meaning.
pub const KERNEL_DROPS: [(&str, &str); 2] = [
    (
        "rx-ring-full",
        "The worker was too slow: its receive ring had no room.",
    ),
    (
        "fill-ring-empty",
        "The fill ring had no free frame, or the packet did not fit into one.",
    ),
];

/// Collects the reasons with a count above zero.
pub fn reasons<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Reasons {
    counts
        .into_iter()
        .filter(|&(_, count)| count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

/// The state of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// The role of this process.
    pub role: Role,
    /// The configured name of the cluster.
    pub cluster: Option<String>,
    /// The start of the process, in seconds of Unix time.
    #[serde(default)]
    pub since: u64,
    /// The NIC of the configuration.
    pub nic: Nic,
    /// Failures that ended nothing, and were tried again: of netlink requests, and of listeners that could not accept a
    /// connection.
    #[serde(default)]
    pub transient_errors: u64,
    /// Whether packets pass: `not_ready` is empty, and the role has started.
    pub ready: bool,
    /// Why packets do not pass, or soon will not.
    #[serde(default)]
    pub not_ready: Vec<NotReady>,
    /// Whether the role was stopped and all frames returned to their pools.
    pub drained: bool,
    /// The counters of the XDP program.
    pub steering: Steering,
    /// The tables, one per peering. A gateway has none.
    pub tables: Vec<Table>,
    /// The workers on this host.
    pub workers: Vec<Worker>,
}

impl Status {
    /// The status of a role that is not ready: without tables and workers, all counters zero.
    pub fn starting(role: Role) -> Self {
        Self {
            role,
            cluster: None,
            since: 0,
            nic: Nic::default(),
            transient_errors: 0,
            ready: false,
            not_ready: Vec::new(),
            drained: false,
            steering: Steering::default(),
            tables: Vec::new(),
            workers: Vec::new(),
        }
    }
}

/// The role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Steers the flows of a VPC to its gateways.
    Demux,
    /// Seals and opens the packets of its flows.
    Gateway,
}

impl Role {
    /// The role's name, as in the command that starts it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demux => "demux",
            Self::Gateway => "gateway",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        let all = [Self::Demux, Self::Gateway];
        all.into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// A name that is not a role.
#[derive(Debug, thiserror::Error)]
#[error("unknown role {0:?}; expected demux or gateway")]
pub struct UnknownRole(String);

/// The NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Nic {
    /// The name of the interface.
    pub name: String,
    /// The attach mode of the XDP program.
    pub xdp_mode: XdpMode,
    /// The largest IP packet, in bytes.
    pub mtu: u32,
    /// Packets that the NIC's transmit queues dropped since the start of the process.
    pub tx_dropped: u64,
}

/// The attach mode of the XDP program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver.
    Driver,
    /// In the kernel's generic path.
    Skb,
    /// Not attached.
    #[default]
    Detached,
}

impl XdpMode {
    /// The mode's name, as in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Skb => "skb",
            Self::Detached => "detached",
        }
    }
}

/// The counters of the XDP program. `received` is the sum of `to_worker`, `to_gateway`, all `drops` and
/// all `punts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Steering {
    /// Packets that reached the program.
    pub received: u64,
    /// Packets redirected to sockets of local workers.
    pub to_worker: u64,
    /// Packets redirected to remote gateways.
    pub to_gateway: u64,
    /// Dropped packets by reason.
    pub drops: Reasons,
    /// Packets left to the kernel, by reason.
    pub punts: Reasons,
    /// The packets of each gateway.
    pub gateways: Vec<Gateway>,
}

/// The packets that the XDP program steered to one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gateway {
    /// The name of the gateway.
    pub name: String,
    /// Packets steered to the gateway.
    pub packets: u64,
    /// Their inner IP bytes.
    pub bytes: u64,
}

/// A worker. `received` is the sum of `sent`, all `drops` and `waiting`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Worker {
    /// The name of its gateway.
    pub gateway: String,
    /// The number of the worker on this host, from 0.
    pub worker: u32,
    /// The core to which the thread is pinned.
    pub core: Option<usize>,
    /// The mode of its AF_XDP sockets.
    pub copy_mode: CopyMode,
    /// Packets taken from the receive rings.
    pub received: u64,
    /// Received packets that were transmitted.
    pub sent: u64,
    /// Other packets that were transmitted: ICMP errors, dummies, markers, and all fragments but the last of a packet.
    pub originated: u64,
    /// Packets that wait for a next hop or for the release of a hold.
    pub waiting: u64,
    /// Packets held while buckets move to its gateway.
    pub holds: Holds,
    /// Of those sent: peer messages delivered to the demux on this host.
    pub control_packets: u64,
    /// Of those sealed: peer messages of the demux.
    #[serde(default)]
    pub control_sealed: u64,
    /// Stalls after which the worker dropped its received packets.
    pub worker_stalls: u64,
    /// Encrypted packets.
    pub sealed: Volume,
    /// Decrypted, authentic packets.
    pub opened: Volume,
    /// Received packets that the worker dropped, by reason.
    pub drops: Reasons,
    /// Packets that the kernel dropped before the worker received them, by reason.
    pub kernel_drops: Reasons,
    /// The tunnels, one per peering.
    pub tunnels: Vec<Tunnel>,
    /// Remaining sequence numbers of the outbound SA that has the fewest.
    pub sequence_numbers_remaining: u64,
    /// The installed SAs.
    pub sas: Vec<Sa>,
    /// Installed, replaced, removed and expired SAs.
    pub sa_changes: SaChanges,
    /// The time of a packet from receive to transmit, in nanoseconds.
    pub latency_ns: Latency,
    /// The frames of the UMEM.
    pub frames: Frames,
    /// The rounds of the worker's loop.
    #[serde(default)]
    pub rounds: Rounds,
    /// A histogram of burst lengths.
    #[serde(default)]
    pub bursts: Vec<Burst>,
    /// The time of each stage, in the order of a round.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// The occupancy of the rings.
    #[serde(default)]
    pub rings: Rings,
}

/// The tunnel of a worker for one peering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tunnel {
    /// The name of the peering.
    pub peering: String,
    /// The largest outer packet on the path to the peer, in bytes: the NIC's MTU, or the lower MTU
    /// of an ICMP error.
    pub path_mtu: u64,
}

/// An SA of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sa {
    /// The SPI.
    pub spi: u32,
    /// The direction of its packets.
    pub direction: Direction,
    /// The name of the peering.
    pub peering: String,
    /// `active`; `due`: past a soft limit; `expired`: past a hard limit; `retiring`: packets are
    /// opened until a deadline; `draining`: no packet is steered to it any more.
    pub state: String,
    /// Packets sealed or opened.
    pub packets: u64,
    /// Their bytes, with padding.
    pub bytes: u64,
    /// The time of its installation, in seconds of Unix time.
    pub since: u64,
    /// The time of its hard limit, in seconds of Unix time.
    pub expires: Option<u64>,
    /// Remaining sequence numbers of an outbound SA.
    pub sequence_numbers_remaining: Option<u64>,
}

/// The direction of an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The SA seals.
    Outbound,
    /// The SA opens.
    Inbound,
}

impl Direction {
    /// The direction's name, as in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

/// The holds of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Holds {
    /// Current holds.
    pub now: u64,
    /// Packets in these holds.
    pub waiting: u64,
    /// Packets held since the start.
    pub packets: u64,
    /// Holds that reached their time limit.
    pub expired: u64,
}

/// Counts of SA changes of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SaChanges {
    /// Inbound SAs installed after the start.
    pub installed: u64,
    /// Outbound SAs that replaced another one.
    pub switched: u64,
    /// Inbound SAs removed.
    pub retired: u64,
    /// SAs that reached a soft limit.
    pub due: u64,
    /// SAs that reached a hard limit.
    pub expired: u64,
}

/// The mode of an AF_XDP socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CopyMode {
    /// The kernel copies each packet.
    #[default]
    Copy,
    /// The NIC reads and writes the UMEM itself.
    ZeroCopy,
}

impl CopyMode {
    /// The mode's name, as in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::ZeroCopy => "zero-copy",
        }
    }
}

/// Packets and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Volume {
    /// The number of packets.
    pub packets: u64,
    /// Their inner IP bytes.
    pub bytes: u64,
}

/// A distribution of times, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Latency {
    /// Measured packets.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
    /// The maximum.
    pub max: u64,
}

/// The frames of a UMEM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Frames {
    /// All frames.
    pub total: u64,
    /// Frames without a packet; equal to `total` after a drain.
    pub home: u64,
}
