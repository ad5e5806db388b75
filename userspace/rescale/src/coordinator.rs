//! In which order holds, buckets and markers change.
//!
//! A state machine for one peering of one demux. It has no clock and sends nothing: whoever owns it
//! tells it the time and what was heard ([`Input`]), and carries out what it wants ([`Output`]).
//!
//! It always works from where the buckets are to where they should be: in the table of the change
//! under way, or the one in force, without the pairs that are dead. So a change, a death, a second
//! death in the middle and a return are one motion (`moves`). A bucket moves while it is idle
//! (`idle`), or behind a barrier (`batch`), whose `guard`s prove that nothing is on the old way any
//! more: a marker came through it, or the peer has fenced it (`death`). `pairs` sends the probes and
//! judges who is dead, `command` takes a change from its command to its answer, and `peer` answers
//! the other demux.

mod batch;
mod changing;
mod command;
mod death;
mod desk;
mod guard;
mod idle;
mod io;
mod moves;
mod pairs;
mod peer;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::message::{FromGateway, Marker, PeerWord, TableId};
use crate::table::Table;
use crate::{BucketSet, Ordinal};
use batch::{Batch, Heard};
use changing::Changing;
use desk::Desk;
use idle::{Idle, NEVER};
use pairs::Pairs;
use peer::Peer;

pub use io::{Event, Health, Input, Outcome, Output, Refusal, State, UnderWay};
pub use settings::Settings;

/// What brings one peering's buckets from pair to pair.
///
/// After each [`Coordinator::handle`], and at the start, its owner carries out what
/// [`Coordinator::poll`] gives, until it gives nothing more, and comes back at
/// [`Coordinator::next_wake`] at the latest. Times are counted from any one moment, on a clock that
/// never goes back.
#[derive(Debug)]
pub struct Coordinator {
    desk: Desk,
    pairs: Pairs,
    peer: Peer,
    table: Table,
    id: TableId,
    change: Option<Changing>,
    /// For each bucket the pair to which the program sends its packets.
    placed: Vec<Ordinal>,
    /// For each bucket the pair to which it should.
    wanted: Vec<Ordinal>,
    idle: Option<Idle>,
    /// Whether the buckets that should move have had their time to fall idle.
    idled: bool,
    batches: Vec<Batch>,
    /// A gateway did not hold: when it is asked anew.
    pause: Duration,
}

impl Coordinator {
    /// A coordinator that begins with what was stored. A change under way that may have moved
    /// buckets is done at once: nothing flowed while no demux ran, so nothing can be overtaken. One
    /// that had moved none is dropped.
    ///
    /// Its requests are numbered from `number`, which should be drawn by chance: what answers a
    /// former process is then no answer to this one.
    pub fn new(settings: Settings, state: State, number: u64, now: Duration) -> Self {
        let mut desk = Desk::new(settings, number, now);
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
            pairs.join(member.ordinal, false, &mut desk);
        }
        desk.out.push_back(Output::Skew(NEVER));
        for member in table.members() {
            let here = |bucket: &u32| table.buckets()[*bucket as usize] == member.ordinal;
            let buckets: BucketSet = (0..table.buckets().len() as u32).filter(here).collect();
            if !buckets.is_empty() {
                desk.out.push_back(Output::Assign {
                    buckets,
                    to: member.ordinal,
                    when_idle: false,
                });
            }
        }
        if let Some(event) = found {
            desk.tell(event);
            desk.out.push_back(Output::Store(State {
                table: table.clone(),
                under_way: None,
            }));
        }
        Self {
            desk,
            pairs,
            peer: Peer::default(),
            id: table.id(),
            placed: table.buckets().to_vec(),
            wanted: table.buckets().to_vec(),
            table,
            change: None,
            idle: None,
            idled: false,
            batches: Vec::new(),
            pause: now,
        }
    }

    /// Takes in what was heard, and the time.
    pub fn handle(&mut self, now: Duration, input: Input) {
        let late = self.desk.come(now);
        self.pairs.heard_nothing(late);
        match input {
            Input::Tick => {}
            Input::Command { change, address } => self.command(&change, address),
            Input::FromGateway(pair, said) => self.hear_gateway(pair, &said),
            Input::FromPeer(word) => self.hear_peer(word),
            Input::Idle(moved) => self.went_over(&moved),
        }
        self.step();
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.desk.out.pop_front()
    }

    /// When to come back with [`Input::Tick`] at the latest.
    pub fn next_wake(&self) -> Duration {
        self.desk.wake
    }

    /// The table in force.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The table to which a change under way leads.
    pub fn under_way(&self) -> Option<&Table> {
        self.change.as_ref().map(|change| &change.table)
    }

    /// The peer's table, as last heard.
    pub fn peer_table(&self) -> Option<TableId> {
        self.peer.table()
    }

    /// Whether the peer's table is neither ours nor the one before or after it.
    pub fn tables_differ(&self) -> bool {
        let planned = self.change.as_ref().map(|change| change.id);
        self.peer.differs(self.id, planned)
    }

    /// The pairs, how they are, and the last round trip through each.
    pub fn pairs(&self) -> impl Iterator<Item = (Ordinal, Health, Option<Duration>)> + '_ {
        let all = self.pairs.all.iter();
        all.map(|(&ordinal, pair)| (ordinal, pair.health, pair.round_trip))
    }

    /// For each bucket the pair to which the program sends its packets.
    pub fn placed(&self) -> &[Ordinal] {
        &self.placed
    }

    /// Whether every bucket is where it should be, and nobody is held or asked for that.
    pub fn is_quiet(&self) -> bool {
        self.change.is_none() && self.is_settled()
    }

    fn step(&mut self) {
        self.pairs.tend(&mut self.desk, self.id);
        if self.pairs.judge(&mut self.desk) {
            self.aim();
        }
        self.peer.tend(&mut self.pairs, &mut self.desk);
        let planned = self.change.as_ref().map(|change| change.id);
        self.peer.compare(self.id, planned, &mut self.desk);
        if !self.pairs.dead().is_empty() {
            let in_use = self.in_use();
            self.pairs
                .bury(&mut self.desk, |pair| in_use.contains(&pair));
        }
        self.advance();
        self.carry_on();
    }

    fn hear_gateway(&mut self, pair: Ordinal, said: &FromGateway) {
        let FromGateway { id, reply, .. } = said;
        let desk = &mut self.desk;
        self.pairs.answered(pair, *id, reply, desk.now);
        self.peer.answered(pair, *id, reply, &mut self.pairs, desk);
        for at in 0..self.batches.len() {
            match self.batches[at].answered(pair, *id, reply, &mut self.desk) {
                Some(Heard::Holds) => self.give(at),
                Some(Heard::Released { packets, dropped }) => {
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

    fn hear_peer(&mut self, word: PeerWord) {
        let desk = &mut self.desk;
        match word {
            PeerWord::Marker(marker) => Peer::echo(marker, self.id, &mut self.pairs, desk),
            PeerWord::Echo { marker, table } => self.echoed(&marker, table),
            PeerWord::Fence { id, pair } => self.peer.wants(id, pair, true, &mut self.pairs, desk),
            PeerWord::Lift { id, pair } => self.peer.wants(id, pair, false, &mut self.pairs, desk),
            PeerWord::Fenced { id, pair, silent } => self.pairs.fenced(id, pair, silent, desk),
            PeerWord::Lifted { id, pair } => self.pairs.lifted(id, pair),
        }
    }

    fn echoed(&mut self, marker: &Marker, table: TableId) {
        if let Some(sent) = self.pairs.echoed(marker, &mut self.desk) {
            self.peer.heard(table, sent, self.desk.now);
            return;
        }
        let mut known = false;
        for batch in &mut self.batches {
            for guard in &mut batch.guards {
                known |= guard.hear(marker);
            }
        }
        if let Some(idle) = &mut self.idle {
            known |= idle.hear(marker);
        }
        if let Some(change) = &mut self.change
            && let changing::Stage::Joining { way, .. } = &mut change.stage
        {
            known |= way.hear(marker);
        }
        if known {
            self.pairs.alive(marker.pair, &mut self.desk);
        }
    }

    fn went_over(&mut self, moved: &BucketSet) {
        let Some(idle) = &mut self.idle else { return };
        for (to, buckets) in idle.moved(moved, &self.desk) {
            let mut from = BTreeMap::<Ordinal, usize>::new();
            for bucket in buckets.iter() {
                let place = std::mem::replace(&mut self.placed[bucket as usize], to);
                *from.entry(place).or_default() += 1;
            }
            for (from, buckets) in from {
                self.desk.tell(Event::Moved {
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
                change.advanced(&self.desk);
            }
        }
    }
}
