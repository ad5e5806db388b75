//! A peering's table as status and the control socket see it while its coordinator works.

use std::collections::BTreeMap;

use causeway_rescale::coordinator::{Event, Health, Input, Outcome, Refusal, State};
use causeway_rescale::message::TableId;
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
    at_start: Option<status::AtStart>,
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
            at_start: None,
            peer: None,
            pairs: BTreeMap::new(),
            buckets: buckets.collect(),
            began: false,
            changes: status::Changes::default(),
            moved: status::Moved::default(),
            held: status::Held::default(),
            differed: 0,
        };
        watch.table(table, None);
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
        if let Input::Idle(moved) = input {
            for bucket in moved.iter() {
                let (carries, next) = &mut self.buckets[bucket as usize];
                *carries = *next;
            }
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

    /// The table in force, and what the coordinator goes by of the peer's.
    pub fn table(&mut self, table: &Table, peer: Option<TableId>) {
        self.peer = peer;
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
            Event::HoldExpired { .. } => self.held.expired += 1,
            Event::Resumed { .. } => self.at_start = Some(status::AtStart::Resumed),
            Event::RolledBack { .. } => self.at_start = Some(status::AtStart::RolledBack),
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
            at_start: self.at_start,
            peer: PeerTable::of(self.peer, self.own),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use causeway_rescale::coordinator::UnderWay;
    use causeway_rescale::{Change, Weight};

    use super::*;

    fn table() -> Table {
        let names = ["a", "b"].map(str::to_owned);
        Table::new(names.map(|name| (name, Weight::ONE))).unwrap()
    }

    fn drained(table: &Table) -> Table {
        let change = Change::Drain { name: "b".into() };
        table.change(&change, None).unwrap().table
    }

    fn pairs(watch: &Watch) -> Vec<(String, u8, u64, PairState)> {
        let pairs = watch.report().pairs.into_iter();
        pairs
            .map(|pair| (pair.gateway, pair.weight, pair.buckets, pair.state))
            .collect()
    }

    /// A drain as its coordinator tells it: buckets count where they are, not where they shall be.
    #[test]
    fn buckets_count_where_they_are() {
        let (table, pair) = (table(), Ordinal);
        let mut watch = Watch::new("vpc-2", &table);
        for each in [0, 1] {
            watch.event(&Event::Health(pair(each), Health::Up));
        }
        let next = drained(&table);
        let under_way = UnderWay {
            table: next.clone(),
            begun: true,
        };
        watch.state(&State {
            table: table.clone(),
            under_way: Some(under_way),
        });
        assert_eq!(watch.report().changing_to, Some(1));
        let of_b = |&(_, at): &(u32, Ordinal)| at == pair(1);
        let all: Vec<u32> = (0..)
            .zip(table.buckets().iter().copied())
            .filter(of_b)
            .map(|(bucket, _)| bucket)
            .collect();
        let (idle, busy) = all.split_at(2000);
        watch.assign(&all.iter().copied().collect(), pair(0), true);
        watch.hear(&Input::Idle(idle.iter().copied().collect()));
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let now = [
            (a.clone(), 1, 4048, PairState::Up),
            (b.clone(), 1, 48, PairState::Up),
        ];
        assert_eq!(pairs(&watch), now);

        watch.assign(&busy.iter().copied().collect(), pair(0), false);
        watch.state(&State {
            table: next.clone(),
            under_way: None,
        });
        watch.table(&next, Some(table.id()));
        let then = [(a, 1, 4096, PairState::Up), (b, 0, 0, PairState::Drained)];
        assert_eq!(pairs(&watch), then);
        let report = watch.report();
        assert_eq!((report.epoch, report.changing_to), (1, None));
        assert_eq!(report.peer, PeerTable::Behind);
        assert_eq!(report.digest, format!("{:016x}", next.id().digest));
    }

    #[test]
    fn a_dead_pair_is_fenced_and_comes_back() {
        let mut watch = Watch::new("vpc-2", &table());
        let pair = Ordinal(1);
        let mut after = |event: Event| {
            watch.event(&event);
            watch.report().pairs.swap_remove(1).state
        };
        assert_eq!(after(Event::Health(pair, Health::Dead)), PairState::Dead);
        let fenced = Event::Fenced { pair, silent: true };
        assert_eq!(after(fenced), PairState::Fenced);
        assert_eq!(after(Event::Health(pair, Health::Up)), PairState::Up);
        assert_eq!(after(Event::Health(pair, Health::Dead)), PairState::Dead);
    }

    #[test]
    fn what_happened_is_counted_once() {
        let table = table();
        let mut watch = Watch::new("vpc-2", &table);
        let pair = Ordinal(0);
        let (from, to) = (Ordinal(1), pair);
        for (buckets, barrier) in [(40, false), (2, true)] {
            watch.event(&Event::Moved {
                from,
                to,
                buckets,
                barrier,
            });
        }
        let (packets, dropped) = (7, 3);
        watch.event(&Event::Released {
            pair,
            packets,
            dropped,
        });
        watch.event(&Event::HoldExpired { pair });
        watch.event(&Event::RoundTrip(pair, Duration::from_micros(250)));
        let (own, epoch) = (table.id(), 9);
        watch.event(&Event::TablesDiffer {
            peer: TableId { epoch, ..own },
            own,
        });
        let refusal = || Err(Refusal::UnderWay { to: 1 });
        let no_way = || {
            Err(Refusal::NoWay {
                name: "a".into(),
                within_ms: 1,
            })
        };
        // Refused; begun, and beside it another refused; then given up.
        watch.done(&no_way());
        watch.event(&Event::Began {
            epoch: 1,
            buckets: 5,
        });
        watch.done(&refusal());
        watch.done(&no_way());
        let report = watch.report();
        assert_eq!((report.moved.idle, report.moved.barrier), (40, 2));
        let held = report.held;
        assert_eq!((held.packets, held.dropped, held.expired), (7, 3, 1));
        assert_eq!(report.pairs[0].round_trip_ns, Some(250_000));
        assert_eq!(report.differed, 1);
        assert_eq!(report.at_start, None);
        let changes = report.changes;
        assert_eq!((changes.done, changes.refused, changes.given_up), (0, 2, 1));
    }

    #[test]
    fn what_a_start_found_is_told() {
        for (event, told) in [
            (Event::Resumed { epoch: 1 }, status::AtStart::Resumed),
            (Event::RolledBack { epoch: 0 }, status::AtStart::RolledBack),
        ] {
            let mut watch = Watch::new("vpc-2", &table());
            watch.event(&event);
            assert_eq!(watch.report().at_start, Some(told));
        }
    }
}
