//! The operators, who give each command in both VPCs until it is done in both.

use causeway_rescale::coordinator::{Outcome, Refusal};
use causeway_rescale::{Change, Table, Weight};

use crate::link::{MS, Time};
use crate::random::Random;
use crate::schedule::{GATEWAYS, Op, Schedule};
use crate::site::name;

/// The time within which a change must be done or refused.
const LIMIT: Time = 45_000 * MS;
/// After this many attempts, a change that neither VPC has made is skipped.
const ATTEMPTS: u32 = 3;

pub struct Driver {
    ops: Vec<Op>,
    /// The epoch to which the next of `ops` leads.
    epoch: u64,
    attempts: u32,
    /// When each VPC may get the next command.
    next_command: [Time; 2],
    /// When each VPC got the command that is not answered yet.
    commanded: [Option<Time>; 2],
}

impl Driver {
    pub fn new(schedule: &Schedule) -> Self {
        let mut ops = schedule.ops.clone();
        ops.reverse();
        Self {
            ops,
            epoch: 1,
            attempts: 0,
            next_command: [0, 0],
            commanded: [None, None],
        }
    }

    pub fn is_done(&self) -> bool {
        self.ops.is_empty()
    }

    /// The command that a VPC gets now, if there is one. `tables` has each VPC's epoch and whether a
    /// change is pending, if the VPC's demux is up.
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
        if busy || epoch >= self.epoch || now < self.next_command[site] {
            return None;
        }
        let change = change(op, site, table);
        self.attempts += 1;
        self.commanded[site] = Some(now);
        self.next_command[site] = now + 300 * MS;
        Some(change)
    }

    pub fn answered(&mut self, site: usize, result: &Result<Outcome, Refusal>, now: Time) {
        self.commanded[site] = None;
        if result.is_err() {
            self.next_command[site] = now + 200 * MS;
        }
    }

    /// A VPC whose command takes too long, if there is one.
    pub fn late_site(&self, now: Time) -> Option<usize> {
        let late = |at: Option<Time>| at.is_some_and(|at| at + LIMIT < now);
        (0..2).find(|&site| late(self.commanded[site]))
    }

    fn finish(&mut self, now: Time, random: &mut Random) {
        self.ops.pop();
        self.attempts = 0;
        self.commanded = [None, None];
        let pause = random.below(400 * MS);
        self.next_command = [0, 1].map(|_| now + pause + random.below(200 * MS));
    }
}

fn change(op: Op, site: usize, table: &Table) -> Change {
    let weight = |weight| Weight::new(weight).expect("1 to 4");
    // The first gateway that is not in the cluster. If there is none, a name without a gateway.
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
