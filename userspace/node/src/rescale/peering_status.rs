//! The status of a peering's table, updated by its driver and read by the status document and the control socket.

use std::collections::BTreeMap;

use causeway_rescale::coordinator::{Event, Health, Input, Outcome, Refusal, State};
use causeway_rescale::message::TableId;
use causeway_rescale::table::{Member, Table};
use causeway_rescale::{BucketSet, Ordinal};

use causeway_api::status::{self, PairState, PeerTable};

pub struct PeeringStatus {
    peering: String,
    epoch: u64,
    own: TableId,
    /// The epoch after the change in progress.
    changing_to: Option<u64>,
    at_start: Option<status::RecoveredChange>,
    peer: Option<TableId>,
    pairs: BTreeMap<Ordinal, Pair>,
    /// For each bucket the pair that carries it, and the pair to which it moves when it is idle.
    buckets: Vec<(Ordinal, Ordinal)>,
    /// Whether the change in progress has begun to move buckets.
    began: bool,
    changes: status::Changes,
    moved: status::MovedBuckets,
    held: status::HeldPackets,
    differed: u64,
}

struct Pair {
    name: String,
    weight: u8,
    /// Whether the pair is in the table in force.
    member: bool,
    health: Health,
    fenced: bool,
    round_trip_ns: Option<u64>,
}

impl PeeringStatus {
    /// The status of a peering that starts with this table.
    pub fn new(peering: &str, table: &Table) -> Self {
        let buckets = table.buckets().iter().map(|&pair| (pair, pair));
        let mut status = Self {
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
            moved: status::MovedBuckets::default(),
            held: status::HeldPackets::default(),
            differed: 0,
        };
        status.record_table(table, None);
        status
    }

    /// The name of a pair's gateway.
    pub fn name(&self, pair: Ordinal) -> Option<String> {
        self.pairs.get(&pair).map(|pair| pair.name.clone())
    }

    /// The pair of a gateway. If two pairs have a gateway of this name, the one that was added last.
    pub fn ordinal(&self, name: &str) -> Option<Ordinal> {
        let mut pairs = self.pairs.iter().rev();
        pairs
            .find(|(_, pair)| pair.name == name)
            .map(|(&ordinal, _)| ordinal)
    }

    /// Records an input of the coordinator.
    pub fn record_input(&mut self, input: &Input) {
        if let Input::Idle(moved) = input {
            for bucket in moved.iter() {
                let (carries, next) = &mut self.buckets[bucket as usize];
                *carries = *next;
            }
        }
    }

    pub fn record_assignment(&mut self, buckets: &BucketSet, to: Ordinal, when_idle: bool) {
        for bucket in buckets.iter() {
            let (carries, next) = &mut self.buckets[bucket as usize];
            *next = to;
            if !when_idle {
                *carries = to;
            }
        }
    }

    /// Records the start or the end of a change.
    pub fn record_state(&mut self, state: &State) {
        let next = state.under_way.as_ref().map(|change| &change.table);
        self.changing_to = next.map(Table::epoch);
        for member in next.iter().flat_map(|table| table.members()) {
            self.add_pair(member);
        }
    }

    /// Records the table in force, and the last table that the peer reported.
    pub fn record_table(&mut self, table: &Table, peer: Option<TableId>) {
        self.peer = peer;
        self.epoch = table.epoch();
        self.own = table.id();
        for pair in self.pairs.values_mut() {
            pair.member = false;
        }
        for member in table.members() {
            self.add_pair(member);
            if let Some(pair) = self.pairs.get_mut(&member.ordinal) {
                pair.member = true;
                pair.weight = member.weight.map_or(0, |weight| weight.get());
            }
        }
    }

    fn add_pair(&mut self, member: &Member) {
        self.pairs.entry(member.ordinal).or_insert_with(|| Pair {
            name: member.name.clone(),
            weight: member.weight.map_or(0, |weight| weight.get()),
            member: false,
            health: Health::Unknown,
            fenced: false,
            round_trip_ns: None,
        });
    }

    /// Records the result of a change.
    pub fn record_result(&mut self, result: &Result<Outcome, Refusal>) {
        match result {
            Ok(_) => self.changes.done += 1,
            // The change in progress continues.
            Err(Refusal::UnderWay { .. }) => {
                self.changes.refused += 1;
                return;
            }
            Err(_) if self.began => self.changes.given_up += 1,
            Err(_) => self.changes.refused += 1,
        }
        self.began = false;
    }

    pub fn record_event(&mut self, event: &Event) {
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
            Event::Resumed { .. } => self.at_start = Some(status::RecoveredChange::Resumed),
            Event::RolledBack { .. } => self.at_start = Some(status::RecoveredChange::RolledBack),
        }
    }

    /// The table in the status document.
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

    fn pairs(status: &PeeringStatus) -> Vec<(String, u8, u64, PairState)> {
        let pairs = status.report().pairs.into_iter();
        pairs
            .map(|pair| (pair.gateway, pair.weight, pair.buckets, pair.state))
            .collect()
    }

    /// During a drain.
    #[test]
    fn a_bucket_counts_for_the_pair_that_carries_it() {
        let (table, pair) = (table(), Ordinal);
        let mut status = PeeringStatus::new("vpc-2", &table);
        for each in [0, 1] {
            status.record_event(&Event::Health(pair(each), Health::Up));
        }
        let next = drained(&table);
        let under_way = UnderWay {
            table: next.clone(),
            begun: true,
        };
        status.record_state(&State {
            table: table.clone(),
            under_way: Some(under_way),
        });
        assert_eq!(status.report().changing_to, Some(1));
        let of_b = |&(_, at): &(u32, Ordinal)| at == pair(1);
        let all: Vec<u32> = (0..)
            .zip(table.buckets().iter().copied())
            .filter(of_b)
            .map(|(bucket, _)| bucket)
            .collect();
        let (idle, busy) = all.split_at(2000);
        status.record_assignment(&all.iter().copied().collect(), pair(0), true);
        status.record_input(&Input::Idle(idle.iter().copied().collect()));
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let now = [
            (a.clone(), 1, 4048, PairState::Up),
            (b.clone(), 1, 48, PairState::Up),
        ];
        assert_eq!(pairs(&status), now);

        status.record_assignment(&busy.iter().copied().collect(), pair(0), false);
        status.record_state(&State {
            table: next.clone(),
            under_way: None,
        });
        status.record_table(&next, Some(table.id()));
        let then = [(a, 1, 4096, PairState::Up), (b, 0, 0, PairState::Drained)];
        assert_eq!(pairs(&status), then);
        let report = status.report();
        assert_eq!((report.epoch, report.changing_to), (1, None));
        assert_eq!(report.peer, PeerTable::Behind);
        assert_eq!(report.digest, format!("{:016x}", next.id().digest));
    }

    #[test]
    fn a_dead_pair_is_fenced_and_returns() {
        let mut status = PeeringStatus::new("vpc-2", &table());
        let pair = Ordinal(1);
        let mut after = |event: Event| {
            status.record_event(&event);
            status.report().pairs.swap_remove(1).state
        };
        assert_eq!(after(Event::Health(pair, Health::Dead)), PairState::Dead);
        let fenced = Event::Fenced { pair, silent: true };
        assert_eq!(after(fenced), PairState::Fenced);
        assert_eq!(after(Event::Health(pair, Health::Up)), PairState::Up);
        assert_eq!(after(Event::Health(pair, Health::Dead)), PairState::Dead);
    }

    #[test]
    fn each_event_is_counted_once() {
        let table = table();
        let mut status = PeeringStatus::new("vpc-2", &table);
        let pair = Ordinal(0);
        let (from, to) = (Ordinal(1), pair);
        for (buckets, barrier) in [(40, false), (2, true)] {
            status.record_event(&Event::Moved {
                from,
                to,
                buckets,
                barrier,
            });
        }
        let (packets, dropped) = (7, 3);
        status.record_event(&Event::Released {
            pair,
            packets,
            dropped,
        });
        status.record_event(&Event::HoldExpired { pair });
        status.record_event(&Event::RoundTrip(pair, Duration::from_micros(250)));
        let (own, epoch) = (table.id(), 9);
        status.record_event(&Event::TablesDiffer {
            peer: TableId { epoch, ..own },
            own,
        });
        let refusal = || Err(Refusal::UnderWay { to: 1 });
        let unreachable = || {
            Err(Refusal::PairUnreachable {
                name: "a".into(),
                within_ms: 1,
            })
        };
        // One change is refused. The next one begins, a second request is refused meanwhile, then the change is given up.
        status.record_result(&unreachable());
        status.record_event(&Event::Began {
            epoch: 1,
            buckets: 5,
        });
        status.record_result(&refusal());
        status.record_result(&unreachable());
        let report = status.report();
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
    fn the_outcome_of_a_start_is_reported() {
        for (event, outcome) in [
            (
                Event::Resumed { epoch: 1 },
                status::RecoveredChange::Resumed,
            ),
            (
                Event::RolledBack { epoch: 0 },
                status::RecoveredChange::RolledBack,
            ),
        ] {
            let mut status = PeeringStatus::new("vpc-2", &table());
            status.record_event(&event);
            assert_eq!(status.report().at_start, Some(outcome));
        }
    }
}
