//! The status document: what `/status` answers, and a role's last line on stdout.
//!
//! Counters are totals since the start of the process. Bytes are inner IP bytes, times are
//! nanoseconds. The keys of `drops` and `punts` are reasons that occurred; those that did not are
//! left out.

mod profile;
mod tables;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use profile::{Burst, Ring, Rings, Rounds, Stage};
pub use tables::{AtStart, Changes, Held, Moved, Pair, PairState, PeerTable, Table};

/// Packets by the name of the reason they ended in.
pub type Reasons = BTreeMap<String, u64>;

/// Why the kernel drops a packet between the XDP program and a worker, from the statistics of the
/// AF_XDP socket: names and what they mean.
pub const KERNEL_DROPS: [(&str, &str); 2] = [
    (
        "rx-ring-full",
        "The worker was too slow: its receive ring had no room.",
    ),
    (
        "fill-ring-empty",
        "No free frame stood in the fill ring, or the packet did not fit into one.",
    ),
];

/// The reasons that occurred.
pub fn reasons<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Reasons {
    counts
        .into_iter()
        .filter(|&(_, count)| count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

/// The state of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What this process is.
    pub role: Role,
    /// The name of the cluster that it belongs to, if it has one.
    pub cluster: Option<String>,
    /// Since when it runs, in seconds of Unix time.
    #[serde(default)]
    pub since: u64,
    /// The NIC it works on.
    pub nic: Nic,
    /// Whether the XDP program is attached and every socket is bound.
    pub ready: bool,
    /// Whether the role was stopped and every frame came home.
    pub drained: bool,
    /// The XDP program's counters.
    pub steering: Steering,
    /// The table of each peering; none at a gateway.
    pub tables: Vec<Table>,
    /// The workers of the local gateways.
    pub workers: Vec<Worker>,
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Spreads a VPC's flows over its gateways.
    Demux,
    /// Carries its share of the flows as ESP.
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

/// The NIC as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The interface's name.
    pub name: String,
    /// Where the XDP program is attached.
    pub xdp_mode: XdpMode,
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// Packets that the NIC's transmit side refused since the start of the process.
    pub tx_dropped: u64,
}

/// Where the XDP program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver.
    Driver,
    /// In the kernel's generic path.
    Skb,
    /// Nowhere: not yet, or no more.
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

/// The XDP program's counters:
/// `received = to_worker + to_gateway + sum(drops) + sum(punts)`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// Packets that reached the program.
    pub received: u64,
    /// Packets redirected to a local worker's socket.
    pub to_worker: u64,
    /// Packets redirected to a remote gateway.
    pub to_gateway: u64,
    /// Packets dropped.
    pub drops: Reasons,
    /// Packets left to the kernel.
    pub punts: Reasons,
    /// Each gateway's share.
    pub gateways: Vec<Gateway>,
}

/// What the XDP program steered to one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The gateway's name.
    pub name: String,
    /// Packets.
    pub packets: u64,
    /// Inner IP bytes.
    pub bytes: u64,
}

/// One worker's counters: `received = sent + sum(drops) + waiting`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// The gateway it belongs to.
    pub gateway: String,
    /// Its number within the host, from 0.
    pub worker: u32,
    /// The core its thread is pinned to, if it is.
    pub core: Option<usize>,
    /// How packets cross the socket.
    pub copy_mode: CopyMode,
    /// Packets taken from the socket.
    pub received: u64,
    /// Received packets that were transmitted.
    pub sent: u64,
    /// Packets the worker sent beyond those: ICMP errors, dummies, markers, and the fragments of a packet but the last.
    pub originated: u64,
    /// Packets that wait for a neighbour's address or for the release of a hold.
    pub waiting: u64,
    /// What it holds back while buckets move to its gateway.
    pub holds: Holds,
    /// Of those sent: words of peers' demuxes that it gave to this host's.
    pub words: u64,
    /// Times that it had not run for so long that it dropped what it had.
    pub standstills: u64,
    /// What was encrypted.
    pub sealed: Volume,
    /// What was decrypted and authentic.
    pub opened: Volume,
    /// Received packets that were dropped.
    pub drops: Reasons,
    /// Packets the kernel dropped before the worker saw them, by the names of [`KERNEL_DROPS`].
    pub kernel_drops: Reasons,
    /// Its share of each peering.
    pub tunnels: Vec<Tunnel>,
    /// Sequence numbers that the worker's outbound SAs have left before they need new keys: of the
    /// one that has least.
    pub sequence_numbers_remaining: u64,
    /// The SAs that run.
    pub sas: Vec<Sa>,
    /// Those that came and went.
    pub sa_changes: SaChanges,
    /// From receive to transmit.
    pub latency_ns: Latency,
    /// The UMEM's frames.
    pub frames: Frames,
    /// The rounds of its loop.
    #[serde(default)]
    pub rounds: Rounds,
    /// How many packets came at once, by class of length.
    #[serde(default)]
    pub bursts: Vec<Burst>,
    /// What its time went into, in the order of a round.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// How full its rings were.
    #[serde(default)]
    pub rings: Rings,
}

/// A worker's share of one peering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// The peering's name.
    pub peering: String,
    /// The largest outer packet, in bytes, that the path to the peer takes: the NIC's MTU unless
    /// somebody on the path said less.
    pub path_mtu: u64,
}

/// One SA of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sa {
    /// The security parameters index.
    pub spi: u32,
    /// Which way it carries.
    pub direction: Direction,
    /// The peering's name.
    pub peering: String,
    /// `active`; `due`, past a soft limit; `expired`, past a hard one; `retiring`, still opened for
    /// a while; `draining`, steered to no more.
    pub state: String,
    /// Packets that it has carried.
    pub packets: u64,
    /// Bytes given to the cipher.
    pub bytes: u64,
    /// Since when it runs, in seconds of Unix time.
    pub since: u64,
    /// When a hard limit in time ends it, in seconds of Unix time; absent: none does.
    pub expires: Option<u64>,
    /// Sequence numbers that an outbound SA has left before it needs a new key; absent: inbound.
    pub sequence_numbers_remaining: Option<u64>,
}

/// Which way an SA carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It encrypts.
    Outbound,
    /// It decrypts.
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

/// What a worker holds back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// Holds now.
    pub now: u64,
    /// Packets that they keep now.
    pub waiting: u64,
    /// Packets that were kept.
    pub packets: u64,
    /// Holds that came to their time limit.
    pub expired: u64,
}

/// SAs of a worker that came, went, or reached a limit of their lifetime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaChanges {
    /// Inbound SAs added.
    pub installed: u64,
    /// Times that an outbound SA took over from another.
    pub switched: u64,
    /// Inbound SAs gone.
    pub retired: u64,
    /// SAs that reached a soft limit.
    pub due: u64,
    /// SAs that reached a hard limit.
    pub expired: u64,
}

/// How packets cross an AF_XDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyMode {
    /// The kernel copies.
    Copy,
    /// The NIC reads and writes the UMEM.
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

/// Packets and their inner IP bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Inner IP bytes.
    pub bytes: u64,
}

/// A latency distribution, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Packets measured.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

/// Frames of a UMEM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frames {
    /// All of them.
    pub total: u64,
    /// Those that no packet is in; equal to `total` after a drain.
    pub home: u64,
}
