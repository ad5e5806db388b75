//! The table and the gateway pairs of a peering, from the view of the demux.

use causeway_rescale::message::TableId;
use serde::{Deserialize, Serialize};

/// The table of a peering.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Table {
    /// The name of the peering.
    pub peering: String,
    /// The number of changes of the table.
    pub epoch: u64,
    /// A digest of the table, 16 hex digits. Both VPCs have the same digest for the same table.
    pub digest: String,
    /// The epoch after the change in progress; `null`: no change is in progress.
    pub changing_to: Option<u64>,
    /// The treatment of a change that was in progress when the demux last stopped; `null`: there was none.
    pub at_start: Option<RecoveredChange>,
    /// The peer's table compared with this one, from the peer's last message.
    pub peer: PeerTable,
    /// The gateway pairs, in the order in which they joined.
    pub pairs: Vec<Pair>,
    /// Requested changes.
    pub changes: Changes,
    /// Moved buckets.
    pub moved: MovedBuckets,
    /// Packets that gateways held during moves.
    pub held: HeldPackets,
    /// Times that the peer's table became `differs`.
    pub differed: u64,
}

/// The treatment, at the start of a demux, of a change that was in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RecoveredChange {
    /// The change was completed, since buckets may have moved.
    Resumed,
    /// The change was undone, since no bucket had moved.
    RolledBack,
}

/// The peer's table, compared with the own table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PeerTable {
    /// No message from the peer yet.
    #[default]
    Unknown,
    /// Both tables are equal.
    Same,
    /// The peer is one change ahead.
    Ahead,
    /// The peer is one change behind.
    Behind,
    /// The tables differ otherwise. No change is possible until both tables are equal again.
    Differs,
}

impl PeerTable {
    /// Compares the table of a peer with the `own` table.
    pub fn of(peer: Option<TableId>, own: TableId) -> Self {
        let follows = |next: TableId, table: TableId| {
            next.epoch.checked_sub(table.epoch) == Some(1) && next.before == table.digest
        };
        match peer {
            None => Self::Unknown,
            Some(peer) if peer == own => Self::Same,
            Some(peer) if follows(peer, own) => Self::Ahead,
            Some(peer) if follows(own, peer) => Self::Behind,
            Some(_) => Self::Differs,
        }
    }

    /// The name, as in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Same => "same",
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::Differs => "differs",
        }
    }
}

/// A gateway pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pair {
    /// The name of the gateway in this VPC.
    pub gateway: String,
    /// The ordinal, the same in both VPCs.
    pub pair: u16,
    /// The share of the buckets, relative to the weights of the others; 0: drained.
    pub weight: u8,
    /// Current buckets of the pair.
    pub buckets: u64,
    /// The state of the pair.
    pub state: PairState,
    /// The time of the latest marker through the pair to the peer's demux and back, in nanoseconds;
    /// `null`: no marker has returned.
    pub round_trip_ns: Option<u64>,
}

/// The state of a gateway pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PairState {
    /// No marker has returned yet.
    Unknown,
    /// Markers return.
    Up,
    /// Markers do not return, while those of other pairs do. Other pairs have its buckets.
    Dead,
    /// Dead, and the peer gateway drops all packets of the pair.
    Fenced,
    /// In the cluster without buckets.
    Drained,
}

impl PairState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Unknown,
        Self::Up,
        Self::Dead,
        Self::Fenced,
        Self::Drained,
    ];

    /// The name, as in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Dead => "dead",
            Self::Fenced => "fenced",
            Self::Drained => "drained",
        }
    }
}

/// Counts of requested changes of a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Changes {
    /// Completed changes.
    pub done: u64,
    /// Changes that were not started.
    pub refused: u64,
    /// Changes that were started and abandoned.
    pub given_up: u64,
}

/// Counts of moved buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MovedBuckets {
    /// Moved while idle.
    pub idle: u64,
    /// Moved behind a barrier, or from a dead pair behind the fence of its peer.
    pub barrier: u64,
}

/// Packets that gateways held while buckets moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeldPackets {
    /// All held packets.
    pub packets: u64,
    /// Packets dropped at the limit of packets or time.
    pub dropped: u64,
    /// Holds that ended at their time limit, before the markers had returned.
    pub expired: u64,
}
