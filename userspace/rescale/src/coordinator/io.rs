//! The coordinator's inputs and outputs, and the state that it stores.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::buckets::BucketSet;
use crate::change::{Change, Ordinal};
use crate::message::{FromGateway, PeerMessage, TableId, ToGateway};
use crate::table::{self, Table};

/// An event that a coordinator must process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// An operator's command. [`Output::Done`] reports its result.
    Command {
        change: Change,
        /// The address of a joining gateway's host, if the gateway is not in the configuration.
        address: Option<IpAddr>,
    },
    /// A reply from a gateway of this VPC. The sender has proven only that it has the steering key.
    FromGateway(Ordinal, FromGateway),
    /// A message from the peer's demux.
    FromPeer(PeerMessage),
    /// The buckets that have moved while idle: the answer to [`Output::PollIdle`].
    Idle(BucketSet),
    /// The state with this number is on disk, or why it is not: the answer to [`Output::Store`].
    Stored { id: u64, result: Result<(), String> },
}

/// An action for the coordinator's owner. The owner carries out the outputs in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message to a gateway of this VPC. The message may be lost.
    ToGateway(Ordinal, ToGateway),
    /// Assign buckets to a pair in the program's table. The assignment must be in effect before the
    /// next output: unless `when_idle`, no further packet goes to the old pair. `when_idle` with the
    /// current pair cancels a pending move.
    Assign {
        buckets: BucketSet,
        to: Ordinal,
        /// Each bucket moves only once it has been idle for longer than the skew.
        when_idle: bool,
    },
    /// Move those of these buckets that are idle by the skew. Then report with [`Input::Idle`], before
    /// any other input, which of these buckets have moved since they were assigned `when_idle`. The
    /// report is required even if no bucket has moved.
    PollIdle(BucketSet),
    /// Set how long a bucket must be idle to move by itself.
    Skew(Duration),
    /// Write the state to disk, beside all other work, and report the result with [`Input::Stored`]. A state replaces earlier
    /// ones that are not written yet. The latest state is written again until it succeeds.
    Store { id: u64, state: State },
    /// Report the result of a command.
    Done(Result<Outcome, Refusal>),
    /// Log the event and count it in the metrics.
    Event(Event),
}

/// The state on disk, which outlives the demux.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct State {
    /// The table in force.
    pub table: Table,
    /// The pending change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<UnderWay>,
}

/// A pending change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UnderWay {
    /// The table to which the change leads.
    pub table: Table,
    /// Whether buckets may have moved.
    pub begun: bool,
}

/// The result of a completed change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// The table's epoch after the change.
    pub epoch: u64,
    /// Buckets that moved while they were idle.
    pub moved_idle: usize,
    /// Buckets that moved behind a barrier.
    pub moved_by_barrier: usize,
    /// The fewest moves with which the change is possible.
    pub minimum: usize,
    /// Packets that were held.
    pub held: u64,
    /// Held packets that were dropped, because a hold was full or timed out.
    pub dropped: u64,
    pub elapsed_ms: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome {
            epoch,
            moved_idle,
            moved_by_barrier,
            minimum,
            held,
            dropped,
            elapsed_ms,
        } = self;
        let moved = moved_idle + moved_by_barrier;
        write!(
            f,
            "epoch {epoch}: {moved} buckets moved ({moved_idle} idle, {moved_by_barrier} by a barrier; \
             the minimum is {minimum}), {held} packets held, {dropped} of them dropped, in \
             {elapsed_ms} ms"
        )
    }
}

/// Why a change was refused or given up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The table does not permit the change.
    #[error(transparent)]
    Table(#[from] table::Refusal),
    /// Only one change can be pending.
    #[error("a change to epoch {to} is under way; wait until it is done")]
    UnderWay {
        /// The epoch to which the pending change leads.
        to: u64,
    },
    /// The peer's demux does not answer.
    #[error(
        "the peer's demux did not answer within {within_ms} ms; check that it runs and that `peering.demux` is its address"
    )]
    PeerSilent { within_ms: u64 },
    /// The peer has not made this VPC's last change.
    #[error(
        "the peer is at epoch {peer}, this VPC at epoch {own}; make the same change in the peer VPC first"
    )]
    PeerBehind { peer: u64, own: u64 },
    /// The peer has made a different change.
    #[error("the peer is at epoch {peer} after a different change; apply that change here first")]
    PeerDiverged { peer: u64 },
    /// Neither table follows from the other.
    #[error(
        "the peer has a different table (epoch {peer}, here epoch {own}): the order, the weights or the changes of the two clusters differ; stop one demux, copy the cluster and the state of the other, and start it again"
    )]
    TablesDiffer { peer: u64, own: u64 },
    /// No marker returned through a new pair.
    #[error(
        "no marker returned through gateway {name:?} and its peer within {within_ms} ms; check that both run and that their SAs are installed in both VPCs"
    )]
    PairUnreachable { name: String, within_ms: u64 },
    /// A gateway did not confirm a hold in time.
    #[error(
        "gateway {name:?} did not confirm within {within_ms} ms that it holds packets; the change was given up, and no bucket moved to this gateway by a barrier"
    )]
    HoldNotConfirmed { name: String, within_ms: u64 },
    /// The disk does not take the state.
    #[error(
        "the state of the cluster cannot be stored (rescale.state), so it does not change: {why}"
    )]
    NotStored { why: String },
}

/// The health of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// No marker has returned yet.
    Unknown,
    /// Markers return.
    Up,
    /// No marker returns, while markers of other pairs do. Other pairs carry the buckets.
    Dead,
}

/// An event for log and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A pair's health changed.
    Health(Ordinal, Health),
    /// A probe returned through a pair.
    RoundTrip(Ordinal, Duration),
    /// The peer's table is neither this demux's table nor its predecessor or successor.
    TablesDiffer { peer: TableId, own: TableId },
    /// Buckets moved to another pair.
    Moved {
        from: Ordinal,
        to: Ordinal,
        buckets: usize,
        /// Whether they moved behind a barrier, not while idle.
        barrier: bool,
    },
    /// A gateway released held packets.
    Released {
        pair: Ordinal,
        /// Packets that the gateway held.
        packets: u64,
        /// Held packets that were dropped.
        dropped: u64,
    },
    /// A hold timed out before earlier packets were confirmed delivered by the old gateway. With the
    /// action `send`, packets may have been reordered.
    HoldExpired { pair: Ordinal },
    /// The peer's gateway of a pair delivers no packets any more.
    Fenced {
        pair: Ordinal,
        /// The gateway did not answer and counts as stopped.
        silent: bool,
    },
    /// A change began.
    Began {
        /// The epoch to which the change leads.
        epoch: u64,
        /// The number of buckets that must move.
        buckets: usize,
    },
    /// A starting demux completed a pending change.
    Resumed { epoch: u64 },
    /// A starting demux dropped a pending change that had moved no bucket.
    RolledBack {
        /// The epoch that stays in force.
        epoch: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_shown_as_one_sentence() {
        let outcome = Outcome {
            epoch: 4,
            moved_idle: 1000,
            moved_by_barrier: 24,
            minimum: 1024,
            held: 12,
            dropped: 0,
            elapsed_ms: 134,
        };
        assert_eq!(
            outcome.to_string(),
            "epoch 4: 1024 buckets moved (1000 idle, 24 by a barrier; the minimum is 1024), \
             12 packets held, 0 of them dropped, in 134 ms"
        );
    }
}
