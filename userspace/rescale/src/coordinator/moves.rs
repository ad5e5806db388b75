//! From where the buckets are to where they should be.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::{self, Batch};
use super::desk::REPEAT;
use super::guard::Guard;
use super::idle::Idle;
use super::{Coordinator, Event, Health, Output};
use crate::{BucketSet, Ordinal};

impl Coordinator {
    /// Computes again where the buckets should be.
    pub(super) fn aim(&mut self) {
        let dead = self.pairs.dead();
        self.wanted = self.target().without(&dead);
        self.idled = false;
        if let Some(idle) = &mut self.idle {
            idle.given_up = true;
        }
        // What follows from it begins with the next step.
        self.desk.wake = self.desk.now;
    }

    /// Begins the moves that can begin, goes on with those under way.
    pub(super) fn advance(&mut self) {
        self.leave_dead();
        if !self.idle.as_ref().is_some_and(Idle::is_polling) {
            self.begin();
        }
        let id = self.id;
        if let Some(idle) = &mut self.idle
            && !idle.step(&self.placed, &mut self.desk, id)
        {
            self.idled = !idle.given_up;
            self.idle = None;
            self.begin();
        }
        for batch in &mut self.batches {
            batch.step(&self.pairs, &mut self.desk, id);
        }
        self.clear();
    }

    /// The gateway holds: the buckets become its own, and what is still on their old ways is guarded.
    pub(super) fn give(&mut self, at: usize) {
        self.commit();
        let batch = &mut self.batches[at];
        let mut from: BTreeMap<Ordinal, usize> = BTreeMap::new();
        for bucket in batch.buckets.iter() {
            let place = &mut self.placed[bucket as usize];
            *from.entry(*place).or_default() += 1;
            *place = batch.to;
        }
        self.desk.out.push_back(Output::Assign {
            buckets: batch.buckets.clone(),
            to: batch.to,
            when_idle: false,
        });
        let guards: Vec<Guard> = from
            .keys()
            .map(|&pair| Guard::new(pair, &mut self.desk))
            .collect();
        batch.moved(guards, &self.desk);
        for (from, buckets) in from {
            self.desk.tell(Event::Moved {
                from,
                to: batch.to,
                buckets,
                barrier: true,
            });
        }
    }

    /// Whether all is where it should be, and nobody is asked for anything.
    pub(super) fn is_settled(&self) -> bool {
        self.batches.is_empty() && self.idle.is_none() && self.placed == self.wanted
    }

    /// Whether a dead pair may still be needed as it is: fenced.
    pub(super) fn in_use(&self) -> BTreeSet<Ordinal> {
        let placed = self.placed.iter().zip(&self.wanted);
        let leaving = placed.filter(|(at, to)| at != to).map(|(&at, _)| at);
        let guards = self.batches.iter().flat_map(|batch| &batch.guards);
        leaving.chain(guards.map(|guard| guard.pair)).collect()
    }

    /// What was to go to a pair that has died, or has gone there, goes elsewhere.
    fn leave_dead(&mut self) {
        for batch in &mut self.batches {
            let to = self.pairs.all.get_mut(&batch.to);
            if let Some(death) = to.and_then(|pair| pair.death.as_mut())
                && let Some(hold) = batch.bereave(&self.desk)
            {
                death.leaves(hold, &mut self.desk);
            }
        }
        self.clear();
    }

    fn clear(&mut self) {
        for batch in &self.batches {
            let batch::Stage::Over { moved } = batch.stage else {
                continue;
            };
            if !moved {
                self.pause = self.desk.now + REPEAT;
            }
            if let Some(change) = &mut self.change {
                match moved {
                    true => {
                        change.advanced(&self.desk);
                        change.outcome.moved_by_barrier += batch.buckets.len();
                    }
                    false => change.not_held(batch.to, &self.desk),
                }
            }
        }
        self.batches
            .retain(|batch| !matches!(batch.stage, batch::Stage::Over { .. }));
    }

    fn begin(&mut self) {
        self.adopt_orphans();
        if self.placed == self.wanted || !self.desk.past(self.pause) {
            return;
        }
        let mut free: BTreeMap<(bool, Ordinal), BucketSet> = BTreeMap::new();
        let busy = self.busy();
        for bucket in 0..self.placed.len() as u32 {
            let (at, to) = (self.placed[bucket as usize], self.wanted[bucket as usize]);
            if at != to && !busy.contains(bucket) {
                let dead = self.pairs.health(at) == Health::Dead;
                if dead || self.is_fresh(at) {
                    free.entry((dead, to)).or_default().insert(bucket);
                }
            }
        }
        for ((_, to), buckets) in free.extract_if((true, Ordinal(0)).., |_, _| true) {
            if self.pairs.health(to) == Health::Up {
                let batch = Batch::new(to, buckets, Vec::new(), false, &mut self.desk);
                self.batches.push(batch);
            }
        }
        // A live pair's buckets can wait until the dead ones' are safe.
        if self.batches.iter().all(|batch| batch.planned) {
            self.begin_planned(free);
        }
    }

    fn begin_planned(&mut self, free: BTreeMap<(bool, Ordinal), BucketSet>) {
        let mut free: Vec<(Ordinal, BucketSet)> = free
            .into_iter()
            .filter(|((_, to), _)| self.is_fresh(*to))
            .map(|((_, to), buckets)| (to, buckets))
            .collect();
        if free.is_empty() || self.idle.is_some() {
            return;
        }
        self.commit();
        if !self.idled && !self.desk.settings.idle_time.is_zero() {
            self.idle = Some(Idle::new(free, &mut self.desk));
            return;
        }
        free.retain(|(to, _)| !self.batches.iter().any(|batch| batch.to == *to));
        for (to, buckets) in free {
            let some = buckets
                .iter()
                .take(self.desk.settings.batch.max(1))
                .collect();
            let batch = Batch::new(to, some, Vec::new(), true, &mut self.desk);
            self.batches.push(batch);
        }
    }

    /// Buckets whose new gateway died before their guards were through take those with them.
    fn adopt_orphans(&mut self) {
        let mut adopted = Vec::new();
        for orphan in &mut self.batches {
            if !matches!(orphan.stage, batch::Stage::Orphaned { .. }) {
                continue;
            }
            let mut homes: BTreeMap<Ordinal, BucketSet> = BTreeMap::new();
            for bucket in orphan.buckets.iter() {
                let to = self.wanted[bucket as usize];
                if to != orphan.to && self.pairs.health(to) == Health::Up {
                    homes.entry(to).or_default().insert(bucket);
                }
            }
            for (to, buckets) in homes {
                buckets
                    .iter()
                    .for_each(|bucket| orphan.buckets.remove(bucket));
                let guards = orphan.guards.clone();
                adopted.push(Batch::new(to, buckets, guards, false, &mut self.desk));
            }
            if orphan.buckets.is_empty() {
                orphan.stage = batch::Stage::Over { moved: true };
            }
        }
        self.batches.extend(adopted);
    }

    fn busy(&self) -> BucketSet {
        self.batches
            .iter()
            .flat_map(|batch| batch.buckets.iter())
            .collect()
    }

    fn is_fresh(&self, pair: Ordinal) -> bool {
        self.pairs
            .all
            .get(&pair)
            .is_some_and(|pair| pair.is_fresh(&self.desk))
    }
}
