//! A peering's table as status and the control socket see it while its coordinator works.

use std::collections::BTreeMap;

use causeway_rescale::coordinator::{Event, Health, Input, Outcome, Refusal, State};
use causeway_rescale::message::{PeerWord, TableId};
use causeway_rescale::table::{Member, Table};
use causeway_rescale::{BucketSet, Ordinal};

use crate::status::{self, PairState, PeerTable};

/// What is seen.
pub struct Watch {
    peering: String,
    epoch: u64,
    own: TableId,
    /// The epoch to which the change under way leads.
    changing_to: Option<u64>,
    peer: Option<TableId>,
    pairs: BTreeMap<Ordinal, Pair>,
    /// For each bucket the pair that carries it, and the one to which it goes when it is idle.
    buckets: Vec<(Ordinal, Ordinal)>,
    began: bool,
    changes: status::Changes,
    moved: status::Moved,
    held: status::Held,
    differed: u64,
}

struct Pair {
    name: String,
    weight: u8,
    /// Whether the table in force has it.
    member: bool,
    health: Health,
    fenced: bool,
    round_trip_ns: Option<u64>,
}

impl Watch {
    /// Of a peering that starts with this table.
    pub fn new(peering: &str, table: &Table) -> Self {
        let buckets = table.buckets().iter().map(|&pair| (pair, pair));
        let mut watch = Self {
            peering: peering.to_owned(),
            epoch: table.epoch(),
            own: table.id(),
            changing_to: None,
            peer: None,
            pairs: BTreeMap::new(),
            buckets: buckets.collect(),
            began: false,
            changes: status::Changes::default(),
            moved: status::Moved::default(),
            held: status::Held::default(),
            differed: 0,
        };
        watch.table(table);
        watch
    }

    /// The name of a pair's gateway.
    pub fn name(&self, pair: Ordinal) -> Option<String> {
        self.pairs.get(&pair).map(|pair| pair.name.clone())
    }

    /// The pair of a gateway: of two by one name, the one that joined last.
    pub fn ordinal(&self, name: &str) -> Option<Ordinal> {
        let mut pairs = self.pairs.iter().rev();
        pairs
            .find(|(_, pair)| pair.name == name)
            .map(|(&ordinal, _)| ordinal)
    }

    /// Something was heard.
    pub fn hear(&mut self, input: &Input) {
        match input {
            Input::FromPeer(PeerWord::Marker(marker)) => self.peer = Some(marker.table),
            Input::FromPeer(PeerWord::Echo { table, .. }) => self.peer = Some(*table),
            Input::Idle(moved) => {
                for bucket in moved.iter() {
                    let (carries, next) = &mut self.buckets[bucket as usize];
                    *carries = *next;
                }
            }
            _ => {}
        }
    }

    /// Buckets go to a pair.
    pub fn assign(&mut self, buckets: &BucketSet, to: Ordinal, when_idle: bool) {
        for bucket in buckets.iter() {
            let (carries, next) = &mut self.buckets[bucket as usize];
            *next = to;
            if !when_idle {
                *carries = to;
            }
        }
    }

    /// A change is under way, or over.
    pub fn state(&mut self, state: &State) {
        let coming = state.under_way.as_ref().map(|change| &change.table);
        self.changing_to = coming.map(Table::epoch);
        for member in coming.iter().flat_map(|table| table.members()) {
            self.meet(member);
        }
    }

    /// The table in force.
    pub fn table(&mut self, table: &Table) {
        self.epoch = table.epoch();
        self.own = table.id();
        for pair in self.pairs.values_mut() {
            pair.member = false;
        }
        for member in table.members() {
            self.meet(member);
            if let Some(pair) = self.pairs.get_mut(&member.ordinal) {
                pair.member = true;
                pair.weight = member.weight.map_or(0, |weight| weight.get());
            }
        }
    }

    fn meet(&mut self, member: &Member) {
        self.pairs.entry(member.ordinal).or_insert_with(|| Pair {
            name: member.name.clone(),
            weight: member.weight.map_or(0, |weight| weight.get()),
            member: false,
            health: Health::Unknown,
            fenced: false,
            round_trip_ns: None,
        });
    }

    /// A change is done, or not made.
    pub fn done(&mut self, done: &Result<Outcome, Refusal>) {
        match done {
            Ok(_) => self.changes.done += 1,
            // The one that is under way goes on.
            Err(Refusal::UnderWay { .. }) => {
                self.changes.refused += 1;
                return;
            }
            Err(_) if self.began => self.changes.given_up += 1,
            Err(_) => self.changes.refused += 1,
        }
        self.began = false;
    }

    /// Something happened.
    pub fn event(&mut self, event: &Event) {
        match *event {
            Event::Health(pair, health) => {
                if let Some(pair) = self.pairs.get_mut(&pair) {
                    pair.health = health;
                    pair.fenced &= health == Health::Dead;
                }
            }
            Event::RoundTrip(pair, time) => {
                if let Some(pair) = self.pairs.get_mut(&pair) {
                    pair.round_trip_ns = Some(time.as_nanos() as u64);
                }
            }
            Event::Fenced { pair, .. } => {
                if let Some(pair) = self.pairs.get_mut(&pair) {
                    pair.fenced = true;
                }
            }
            Event::TablesDiffer { .. } => self.differed += 1,
            Event::Moved {
                buckets, barrier, ..
            } => match barrier {
                true => self.moved.barrier += buckets as u64,
                false => self.moved.idle += buckets as u64,
            },
            Event::Released {
                packets, dropped, ..
            } => {
                self.held.packets += packets;
                self.held.dropped += dropped;
            }
            Event::Began { .. } => self.began = true,
            Event::Resumed { .. } | Event::RolledBack { .. } | Event::HoldExpired { .. } => {}
        }
    }

    /// As the status document has it.
    pub fn report(&self) -> status::Table {
        let carried = |ordinal| {
            let carried = self.buckets.iter().filter(|(at, _)| *at == ordinal);
            carried.count() as u64
        };
        let pairs = self
            .pairs
            .iter()
            .map(|(&ordinal, pair)| (ordinal, pair, carried(ordinal)));
        status::Table {
            peering: self.peering.clone(),
            epoch: self.epoch,
            digest: format!("{:016x}", self.own.digest),
            changing_to: self.changing_to,
            peer: self.compare(),
            pairs: pairs
                .filter(|(_, pair, buckets)| pair.member || *buckets > 0)
                .map(|(ordinal, pair, buckets)| status::Pair {
                    gateway: pair.name.clone(),
                    pair: ordinal.0,
                    weight: pair.weight,
                    buckets,
                    state: pair.state(buckets),
                    round_trip_ns: pair.round_trip_ns,
                })
                .collect(),
            changes: self.changes,
            moved: self.moved,
            held: self.held,
            differed: self.differed,
        }
    }

    fn compare(&self) -> PeerTable {
        let follows = |late: TableId, early: TableId| {
            late.before == early.digest && early.epoch.checked_add(1) == Some(late.epoch)
        };
        match self.peer {
            None => PeerTable::Unheard,
            Some(peer) if peer == self.own => PeerTable::Same,
            Some(peer) if follows(peer, self.own) => PeerTable::Ahead,
            Some(peer) if follows(self.own, peer) => PeerTable::Behind,
            Some(_) => PeerTable::Differs,
        }
    }
}

impl Pair {
    fn state(&self, buckets: u64) -> PairState {
        match self.health {
            Health::Dead if self.fenced => PairState::Fenced,
            Health::Dead => PairState::Dead,
            _ if self.weight == 0 && buckets == 0 => PairState::Drained,
            Health::Up => PairState::Up,
            Health::Unknown => PairState::Unknown,
        }
    }
}
