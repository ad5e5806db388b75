//! The operators: they give each command in both VPCs, until it is done in both.

use causeway_rescale::coordinator::{Outcome, Refusal};
use causeway_rescale::{Change, Table, Weight};

use crate::link::{MS, Time};
use crate::random::Random;
use crate::schedule::{GATEWAYS, Op, Schedule};
use crate::world::name;

/// In which time a change must be done or refused.
const LIMIT: Time = 45_000 * MS;
/// Attempts after which a change that neither VPC has made is let be.
const ATTEMPTS: u32 = 3;

pub struct Driver {
    ops: Vec<Op>,
    /// The epoch to which the first of them leads.
    epoch: u64,
    attempts: u32,
    /// When each VPC may be asked again.
    ask: [Time; 2],
    asked: [Option<Time>; 2],
}

impl Driver {
    pub fn new(schedule: &Schedule) -> Self {
        let mut ops = schedule.ops.clone();
        ops.reverse();
        Self {
            ops,
            epoch: 1,
            attempts: 0,
            ask: [0, 0],
            asked: [None, None],
        }
    }

    pub fn is_done(&self) -> bool {
        self.ops.is_empty()
    }

    /// The command for a VPC now. `tables`: each VPC's epoch and whether a change is under way, if
    /// its demux is up.
    pub fn next(
        &mut self,
        site: usize,
        now: Time,
        end: Time,
        tables: [Option<(u64, bool)>; 2],
        table: &Table,
        random: &mut Random,
    ) -> Option<Change> {
        let op = *self.ops.last()?;
        let done = |at: Option<(u64, bool)>| at.is_some_and(|(epoch, _)| epoch >= self.epoch);
        if tables.iter().all(|&at| done(at)) {
            self.epoch += 1;
            self.finish(now, random);
            return None;
        }
        let idle =
            |at: Option<(u64, bool)>| at.is_some_and(|(epoch, busy)| epoch < self.epoch && !busy);
        let over = self.attempts > ATTEMPTS || now > end;
        if over && !tables.iter().any(|&at| done(at)) {
            if tables.iter().all(|&at| idle(at)) {
                self.finish(now, random);
            }
            return None;
        }
        let (epoch, busy) = tables[site]?;
        if busy || epoch >= self.epoch || now < self.ask[site] {
            return None;
        }
        let change = change(op, site, table);
        self.attempts += 1;
        self.asked[site] = Some(now);
        self.ask[site] = now + 300 * MS;
        Some(change)
    }

    pub fn answered(&mut self, site: usize, result: &Result<Outcome, Refusal>, now: Time) {
        self.asked[site] = None;
        if result.is_err() {
            self.ask[site] = now + 200 * MS;
        }
    }

    /// The VPC whose command takes too long.
    pub fn is_late(&self, now: Time) -> Option<usize> {
        let late = |asked: Option<Time>| asked.is_some_and(|asked| asked + LIMIT < now);
        (0..2).find(|&site| late(self.asked[site]))
    }

    fn finish(&mut self, now: Time, random: &mut Random) {
        self.ops.pop();
        self.attempts = 0;
        self.asked = [None, None];
        let pause = random.below(400 * MS);
        self.ask = [0, 1].map(|_| now + pause + random.below(200 * MS));
    }
}

fn change(op: Op, site: usize, table: &Table) -> Change {
    let weight = |weight| Weight::new(weight).expect("1 to 4");
    // What no gateway of the world has is what the cluster does not know either.
    let next = (0..GATEWAYS).find(|&pair| table.member(&name(site, pair)).is_none());
    let named = |pair: u16| name(site, pair as usize);
    match op {
        Op::Add(share) => Change::Add {
            name: name(site, next.unwrap_or(GATEWAYS)),
            weight: weight(share),
        },
        Op::Drain(pair) => Change::Drain { name: named(pair) },
        Op::Remove(pair) => Change::Remove { name: named(pair) },
        Op::Weight(pair, share) => Change::Weight {
            name: named(pair),
            weight: weight(share),
        },
    }
}
