//! A peering's table and its gateway pairs, as the demux sees them.

use causeway_rescale::message::TableId;
use serde::{Deserialize, Serialize};

/// The table by which a demux steers one peering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The peering's name.
    pub peering: String,
    /// How many changes it has seen.
    pub epoch: u64,
    /// What tells it from other tables: 16 hex digits, the same in both VPCs.
    pub digest: String,
    /// The epoch to which the change under way leads; absent: there is none.
    pub changing_to: Option<u64>,
    /// What became at the demux's start of a change that was under way; absent: none was.
    pub at_start: Option<AtStart>,
    /// How the peer's table stands to this one, by its last word.
    pub peer: PeerTable,
    /// Its gateway pairs, in the order in which they joined.
    pub pairs: Vec<Pair>,
    /// Changes that were asked for.
    pub changes: Changes,
    /// Buckets that went from pair to pair.
    pub moved: Moved,
    /// Packets that gateways kept back meanwhile.
    pub held: Held,
    /// Times that the peer's table was found to have nothing in common with this one.
    pub differed: u64,
}

/// What became of a change in whose middle the demux ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtStart {
    /// Buckets may have moved: its table is in force.
    Resumed,
    /// None had: it is as if it had not been asked for.
    RolledBack,
}

/// How the peer's table stands to the own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerTable {
    /// The peer has said nothing yet.
    Unheard,
    /// It is the same.
    Same,
    /// It is one change further.
    Ahead,
    /// It has yet to make the last change.
    Behind,
    /// Neither of these: no change is made until somebody mends it.
    Differs,
}

impl PeerTable {
    /// How a peer's table stands to the `own`.
    pub fn of(peer: Option<TableId>, own: TableId) -> Self {
        let follows = |next: TableId, table: TableId| {
            next.epoch.checked_sub(table.epoch) == Some(1) && next.before == table.digest
        };
        match peer {
            None => Self::Unheard,
            Some(peer) if peer == own => Self::Same,
            Some(peer) if follows(peer, own) => Self::Ahead,
            Some(peer) if follows(own, peer) => Self::Behind,
            Some(_) => Self::Differs,
        }
    }

    /// Its name, as in the document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unheard => "unheard",
            Self::Same => "same",
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::Differs => "differs",
        }
    }
}

/// A gateway with its peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The gateway's name in this VPC.
    pub gateway: String,
    /// The pair's number, the same in both VPCs.
    pub pair: u16,
    /// Its share relative to the others'; 0: drained.
    pub weight: u8,
    /// Buckets that it carries now.
    pub buckets: u64,
    /// How it is.
    pub state: PairState,
    /// From this demux through the pair to the peer's demux and back, of late; absent: nothing has
    /// come back yet.
    pub round_trip_ns: Option<u64>,
}

/// How a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairState {
    /// Nothing has come through yet.
    Unknown,
    /// Markers come through.
    Up,
    /// None does, while others' do: its buckets are with others.
    Dead,
    /// Dead, and its peer opens nothing of it any more.
    Fenced,
    /// It is in the cluster and has no buckets.
    Drained,
}

impl PairState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unknown,
        Self::Up,
        Self::Dead,
        Self::Fenced,
        Self::Drained,
    ];

    /// Its name, as in the document.
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

/// Changes of a cluster that were asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Done.
    pub done: u64,
    /// Not begun, for a reason that was told.
    pub refused: u64,
    /// Begun, and given up.
    pub given_up: u64,
}

/// Buckets that went from pair to pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// While they were idle.
    pub idle: u64,
    /// Behind a barrier, or for those of a dead pair behind its peer's fence.
    pub barrier: u64,
}

/// Packets that gateways kept back while buckets moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// All of them.
    pub packets: u64,
    /// Those that were dropped for lack of room or time.
    pub dropped: u64,
    /// Times that a gateway had to let packets go before it was proven that the old way was empty.
    pub expired: u64,
}
