//! The coordinator: the order in which holds, bucket moves and markers happen.
//!
//! It is a state machine for one peering of one demux. It has no clock and sends nothing: its owner
//! passes in the time and all messages ([`Input`]), and carries out its requests ([`Output`]).
//!
//! The coordinator moves buckets from their current pairs to their wanted pairs. The wanted pairs come
//! from the table of the pending change or from the table in force, without the dead pairs. So a
//! change, a death, a second death during the first and a return are all handled alike. The parts:
//!
//! - `moves`: computes the wanted pairs, and starts and finishes moves.
//! - `idle_move`: moves buckets while they are idle.
//! - `batch`: moves buckets behind a barrier. The new gateway holds their packets until no earlier
//!   packet can arrive any more.
//! - `path_check`: proves that with a marker through the old pair; `dead`: with a fence at the peer.
//! - `pairs`: sends probes and decides which pairs are dead.
//! - `command`: takes a change from its command to its result; `pending_change`: the state of that.
//! - `peer`: answers the peer's demux.
//! - `context`: the time, the request ids and the outputs, which all parts share.

mod batch;
mod command;
mod context;
mod dead;
mod idle_move;
mod io;
mod moves;
mod pairs;
mod path_check;
mod peer;
mod pending_change;
mod settings;
mod storing;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::buckets::BucketSet;
use crate::change::Ordinal;
use crate::message::{FromGateway, Marker, PeerMessage, TableId};
use crate::table::Table;
use batch::{Batch, BatchReply};
use context::Context;
use idle_move::{IdleMove, NEVER};
use pairs::Pairs;
use peer::Peer;
use pending_change::PendingChange;
use storing::Storing;

pub use io::{Event, Health, Input, Outcome, Output, Refusal, State, UnderWay};
pub use settings::Settings;

/// Moves one peering's buckets between pairs.
///
/// At the start and after each [`Coordinator::handle`] the owner carries out the outputs of
/// [`Coordinator::poll`] until there are none left. The owner calls `handle` again at
/// [`Coordinator::next_wake`] at the latest. Times are durations since a fixed start, on a monotonic
/// clock.
#[derive(Debug)]
pub struct Coordinator {
    context: Context,
    pairs: Pairs,
    peer: Peer,
    table: Table,
    id: TableId,
    change: Option<PendingChange>,
    storing: Storing,
    /// For each bucket the pair to which the program sends its packets.
    placed: Vec<Ordinal>,
    /// For each bucket the pair to which the program should send its packets.
    wanted: Vec<Ordinal>,
    idle_move: Option<IdleMove>,
    /// Whether the attempt to move the buckets while they are idle is over.
    idle_move_done: bool,
    batches: Vec<Batch>,
    /// No move starts before this time, because a gateway has failed to hold.
    retry_at: Duration,
}

impl Coordinator {
    /// A coordinator that starts from the stored state. A pending change that may have moved buckets
    /// is completed at once: without a demux no packets flowed, so none can be reordered. A pending
    /// change that has moved no bucket is dropped.
    ///
    /// The ids of the requests follow `last_id`, which should be random, so that replies to an
    /// earlier process match no request of this one.
    pub fn new(settings: Settings, state: State, last_id: u64, now: Duration) -> Self {
        let mut context = Context::new(settings, last_id, now);
        let State { table, under_way } = state;
        let (table, found) = match under_way {
            Some(change) if change.begun => {
                let epoch = change.table.epoch();
                (change.table, Some(Event::Resumed { epoch }))
            }
            Some(_) => {
                let epoch = table.epoch();
                (table, Some(Event::RolledBack { epoch }))
            }
            None => (table, None),
        };
        let mut pairs = Pairs::default();
        for member in table.members() {
            pairs.add(member.ordinal, false, &mut context);
        }
        context.outputs.push_back(Output::Skew(NEVER));
        for member in table.members() {
            let here = |bucket: &u32| table.buckets()[*bucket as usize] == member.ordinal;
            let buckets: BucketSet = (0..table.buckets().len() as u32).filter(here).collect();
            if !buckets.is_empty() {
                context.outputs.push_back(Output::Assign {
                    buckets,
                    to: member.ordinal,
                    when_idle: false,
                });
            }
        }
        let mut storing = Storing::default();
        if let Some(event) = found {
            context.notify(event);
            context.outputs.push_back(Output::Store {
                id: storing.begin(),
                state: State {
                    table: table.clone(),
                    under_way: None,
                },
            });
        }
        Self {
            context,
            pairs,
            peer: Peer::default(),
            id: table.id(),
            placed: table.buckets().to_vec(),
            wanted: table.buckets().to_vec(),
            table,
            change: None,
            storing,
            idle_move: None,
            idle_move_done: false,
            batches: Vec::new(),
            retry_at: now,
        }
    }

    /// Processes an input at time `now`.
    pub fn handle(&mut self, now: Duration, input: Input) {
        let late = self.context.advance_clock(now);
        self.pairs.exclude_pause(late);
        self.peer.exclude_pause(late);
        match input {
            Input::Tick => {}
            Input::Command { change, address } => self.command(&change, address),
            Input::FromGateway(pair, answer) => self.receive_from_gateway(pair, &answer),
            Input::FromPeer(message) => self.receive_from_peer(message),
            Input::Idle(moved) => self.idle_buckets_moved(&moved),
            Input::Stored { id, result } => self.receive_stored(id, result),
        }
        self.step();
    }

    /// The next output to carry out.
    pub fn poll(&mut self) -> Option<Output> {
        self.context.outputs.pop_front()
    }

    /// The latest time for the next call of `handle`, with [`Input::Tick`] if there is no other input.
    pub fn next_wake(&self) -> Duration {
        self.context.wake
    }

    /// The table in force.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The table to which the pending change leads.
    pub fn under_way(&self) -> Option<&Table> {
        self.change.as_ref().map(|change| &change.table)
    }

    /// The peer's table, as last reported.
    pub fn peer_table(&self) -> Option<TableId> {
        self.peer.table()
    }

    /// Whether the peer's table is neither this table nor its predecessor or successor.
    pub fn tables_differ(&self) -> bool {
        let planned = self.change.as_ref().map(|change| change.id);
        self.peer.differs(self.id, planned)
    }

    /// Each pair with its health and its last round trip.
    pub fn pairs(&self) -> impl Iterator<Item = (Ordinal, Health, Option<Duration>)> + '_ {
        let all = self.pairs.all.iter();
        all.map(|(&ordinal, pair)| (ordinal, pair.health, pair.round_trip))
    }

    /// For each bucket the pair to which the program sends its packets.
    pub fn placed(&self) -> &[Ordinal] {
        &self.placed
    }

    /// Whether no change is pending, every bucket is at its wanted pair, and no hold is in use.
    pub fn is_quiet(&self) -> bool {
        self.change.is_none() && self.is_settled()
    }

    fn step(&mut self) {
        self.pairs.tick(&mut self.context, self.id);
        if self.pairs.update_health(&mut self.context) {
            self.update_wanted();
        }
        self.peer.tick(&mut self.pairs, &mut self.context);
        let planned = self.change.as_ref().map(|change| change.id);
        self.peer
            .report_difference(self.id, planned, &mut self.context);
        if !self.pairs.dead().is_empty() {
            let in_use = self.pairs_in_use();
            self.pairs
                .fence_dead(&mut self.context, |pair| in_use.contains(&pair));
        }
        self.advance_moves();
        self.advance_change();
    }

    fn receive_from_gateway(&mut self, pair: Ordinal, answer: &FromGateway) {
        let FromGateway { id, reply, .. } = answer;
        let context = &mut self.context;
        self.pairs.receive_reply(pair, *id, reply, context.now);
        self.peer
            .receive_reply(pair, *id, reply, &mut self.pairs, context);
        for at in 0..self.batches.len() {
            match self.batches[at].receive_reply(pair, *id, reply, &mut self.context) {
                Some(BatchReply::Held) => self.assign_batch(at),
                Some(BatchReply::Released { packets, dropped }) => {
                    if let Some(change) = &mut self.change {
                        let outcome = &mut change.outcome;
                        outcome.held = outcome.held.saturating_add(packets);
                        outcome.dropped = outcome.dropped.saturating_add(dropped);
                    }
                }
                None => {}
            }
        }
    }

    fn receive_from_peer(&mut self, message: PeerMessage) {
        let context = &mut self.context;
        self.peer.record_message(context.now);
        match message {
            PeerMessage::Marker(marker) => {
                Peer::send_echo(marker, self.id, &mut self.pairs, context)
            }
            PeerMessage::Echo { marker, table } => self.receive_echo(&marker, table),
            PeerMessage::Fence { id, pair } => {
                self.peer
                    .receive_fence_request(id, pair, true, &mut self.pairs, context)
            }
            PeerMessage::Lift { id, pair } => {
                self.peer
                    .receive_fence_request(id, pair, false, &mut self.pairs, context)
            }
            PeerMessage::Fenced { id, pair, silent } => {
                self.pairs.receive_fenced(id, pair, silent, context)
            }
            PeerMessage::Lifted { id, pair } => self.pairs.receive_lifted(id, pair),
        }
    }

    fn receive_echo(&mut self, marker: &Marker, table: TableId) {
        if let Some(sent) = self.pairs.receive_echo(marker, &mut self.context) {
            self.peer.record_table(table, sent, self.context.now);
            return;
        }
        let mut known = false;
        for batch in &mut self.batches {
            for check in &mut batch.checks {
                known |= check.receive(marker);
            }
        }
        if let Some(idle) = &mut self.idle_move {
            known |= idle.receive(marker);
        }
        if let Some(change) = &mut self.change
            && let pending_change::Stage::Joining { check, .. } = &mut change.stage
        {
            known |= check.receive(marker);
        }
        if known {
            self.pairs.record_alive(marker.pair, &mut self.context);
        }
    }

    fn idle_buckets_moved(&mut self, moved: &BucketSet) {
        let Some(idle) = &mut self.idle_move else {
            return;
        };
        for (to, buckets) in idle.take_moved(moved, &self.context) {
            let mut from = BTreeMap::<Ordinal, usize>::new();
            for bucket in buckets.iter() {
                let place = std::mem::replace(&mut self.placed[bucket as usize], to);
                *from.entry(place).or_default() += 1;
            }
            for (from, buckets) in from {
                self.context.notify(Event::Moved {
                    from,
                    to,
                    buckets,
                    barrier: false,
                });
            }
            if let Some(change) = &mut self.change
                && !buckets.is_empty()
            {
                change.outcome.moved_idle += buckets.len();
                change.record_progress(&self.context);
            }
        }
    }
}
