//! What a coordinator is told, and what it wants done.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::{FromGateway, PeerWord, TableId, ToGateway};
use crate::table::{self, Table};
use crate::{BucketSet, Change, Ordinal};

/// What a coordinator is told. Time comes beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// Change the cluster. Answered by [`Output::Done`], at once or when it is done.
    Command {
        /// The change.
        change: Change,
        /// Where the gateway's host is, if it joins and is not in the configuration.
        address: Option<IpAddr>,
    },
    /// A gateway of this VPC answered. Not more is known of it than that it has the steering key.
    FromGateway(Ordinal, FromGateway),
    /// The peer's demux said something.
    FromPeer(PeerWord),
    /// Buckets that were to move when idle, and have: the answer to [`Output::PollIdle`].
    Idle(BucketSet),
}

/// What a coordinator wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Say this to a gateway of this VPC. It may be lost.
    ToGateway(Ordinal, ToGateway),
    /// Write buckets into the program's table. When the next output is taken this has taken
    /// effect: unless `when_idle`, no packet takes the old way any more. `when_idle`, and to the
    /// pair that carries them already: they stay.
    Assign {
        /// The buckets.
        buckets: BucketSet,
        /// The pair that carries them from now on.
        to: Ordinal,
        /// Each only once it has been idle for longer than the skew.
        when_idle: bool,
    },
    /// Say with [`Input::Idle`], before any other input and also if there are none, which of these
    /// buckets have moved since they were assigned `when_idle`. Those that are idle by the skew
    /// move now.
    PollIdle(BucketSet),
    /// How long a bucket must be idle to move by itself.
    Skew(Duration),
    /// Write this to the disk before any later output is carried out.
    Store(State),
    /// The command is done, or refused.
    Done(Result<Outcome, Refusal>),
    /// For log and metrics.
    Event(Event),
}

/// What outlives the demux.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct State {
    /// The table in force.
    pub table: Table,
    /// The change under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<UnderWay>,
}

/// A change that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UnderWay {
    /// The table that it leads to.
    pub table: Table,
    /// Whether buckets may have moved.
    pub begun: bool,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// The table's epoch after it.
    pub epoch: u64,
    /// Buckets that moved while they were idle.
    pub moved_idle: usize,
    /// Buckets that moved behind a barrier.
    pub moved_by_barrier: usize,
    /// The fewest moves by which the change can be made.
    pub minimum: usize,
    /// Packets that were held.
    pub held: u64,
    /// Packets of those that were dropped for lack of room or time.
    pub dropped: u64,
    /// How long it took, in milliseconds.
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
             fewer than {minimum} cannot do), {held} packets held, {dropped} of them dropped, in \
             {elapsed_ms} ms"
        )
    }
}

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The table says no.
    #[error(transparent)]
    Table(#[from] table::Refusal),
    /// One at a time.
    #[error("a change to epoch {to} is under way; wait for it")]
    UnderWay {
        /// Its epoch.
        to: u64,
    },
    /// Nobody there.
    #[error(
        "the peer's demux has not answered within {within_ms} ms: is it up, and is its address `peering.demux`?"
    )]
    PeerSilent {
        /// How long it has had.
        within_ms: u64,
    },
    /// The peer has not made the last change.
    #[error("the peer is at epoch {peer}, this VPC at {own}: make the same change there first")]
    PeerBehind {
        /// The peer's epoch.
        peer: u64,
        /// The own.
        own: u64,
    },
    /// The peer has made another change.
    #[error(
        "the peer is at epoch {peer} by another change than this one; make the change here that was made there"
    )]
    PeerWentElsewhere {
        /// The peer's epoch.
        peer: u64,
    },
    /// They have nothing in common.
    #[error(
        "the peer steers by another table (epoch {peer}, here {own}): the clusters' order, weights or changes differ. Stop one demux, copy the other's cluster and state, and start it again"
    )]
    TablesDiffer {
        /// The peer's epoch.
        peer: u64,
        /// The own.
        own: u64,
    },
    /// The way is not there.
    #[error(
        "no marker came through {name:?} and its peer within {within_ms} ms: are both up, and are its SAs installed at both ends?"
    )]
    NoWay {
        /// The gateway.
        name: String,
        /// How long it had.
        within_ms: u64,
    },
    /// A gateway did not hold in time.
    #[error(
        "{name:?} did not answer within {within_ms} ms that it holds packets; nothing has moved by a barrier there, and the change was given up"
    )]
    NotHeld {
        /// The gateway.
        name: String,
        /// How long it had.
        within_ms: u64,
    },
}

/// How a pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Nothing has come through yet.
    Unknown,
    /// Markers come through.
    Up,
    /// None does, while others' do: its buckets are with others.
    Dead,
}

/// What log and metrics hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A pair's health is another.
    Health(Ordinal, Health),
    /// A marker came through a pair and back.
    RoundTrip(Ordinal, Duration),
    /// The peer's table is neither ours nor the one before or after it.
    TablesDiffer {
        /// The peer's.
        peer: TableId,
        /// Ours.
        own: TableId,
    },
    /// Buckets went from pair to pair.
    Moved {
        /// From where.
        from: Ordinal,
        /// To where.
        to: Ordinal,
        /// How many.
        buckets: usize,
        /// Whether a barrier was needed.
        barrier: bool,
    },
    /// A gateway let held packets go.
    Released {
        /// The gateway's pair.
        pair: Ordinal,
        /// Packets that it held.
        packets: u64,
        /// Of those, dropped.
        dropped: u64,
    },
    /// A hold's time was over before it was proven that nothing was on the old way any more. If the
    /// setting says `send`, packets may have changed order.
    HoldExpired {
        /// The pair whose gateway held.
        pair: Ordinal,
    },
    /// The peer's gateway of a pair opens nothing of ours any more.
    Fenced {
        /// The pair.
        pair: Ordinal,
        /// It did not answer, and counts as stopped.
        silent: bool,
    },
    /// A change began.
    Began {
        /// The epoch to which it leads.
        epoch: u64,
        /// The buckets that move.
        buckets: usize,
    },
    /// A demux that started found a change under way, and went on to its end.
    Resumed {
        /// The epoch.
        epoch: u64,
    },
    /// A demux that started found a change under way that had moved nothing, and dropped it.
    RolledBack {
        /// The epoch that stays.
        epoch: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_one_sentence() {
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
            "epoch 4: 1024 buckets moved (1000 idle, 24 by a barrier; fewer than 1024 cannot do), \
             12 packets held, 0 of them dropped, in 134 ms"
        );
    }
}
