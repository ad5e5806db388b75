//! Starts and finishes the moves of buckets to their wanted pairs.

use std::collections::{BTreeMap, BTreeSet};

use super::Coordinator;
use super::batch::{self, Batch};
use super::context::RESEND_AFTER;
use super::idle_move::IdleMove;
use super::io::{Event, Health, Output};
use super::path_check::PathCheck;
use crate::buckets::BucketSet;
use crate::change::Ordinal;

impl Coordinator {
    /// Computes the wanted pairs again.
    pub(super) fn update_wanted(&mut self) {
        let dead = self.pairs.dead();
        self.wanted = self.target().without(&dead);
        self.idle_move_done = false;
        if let Some(idle) = &mut self.idle_move {
            idle.cancelled = true;
        }
        // The moves that follow start with the next step.
        self.context.wake = self.context.now;
    }

    /// Starts the moves that can start, and advances the others.
    pub(super) fn advance_moves(&mut self) {
        self.abandon_dead_targets();
        if !self.idle_move.as_ref().is_some_and(IdleMove::is_polling) {
            self.start_moves();
        }
        let id = self.id;
        if let Some(idle) = &mut self.idle_move
            && !idle.step(&self.placed, &mut self.context, id)
        {
            self.idle_move_done = !idle.cancelled;
            self.idle_move = None;
            self.start_moves();
        }
        for batch in &mut self.batches {
            batch.step(&self.pairs, &mut self.context, id);
        }
        self.remove_finished_batches();
    }

    /// The new gateway of a batch holds: assigns the buckets to it, and starts a check of each old pair.
    pub(super) fn assign_batch(&mut self, at: usize) {
        let batch = &mut self.batches[at];
        let mut from: BTreeMap<Ordinal, usize> = BTreeMap::new();
        for bucket in batch.buckets.iter() {
            let place = &mut self.placed[bucket as usize];
            *from.entry(*place).or_default() += 1;
            *place = batch.to;
        }
        self.context.outputs.push_back(Output::Assign {
            buckets: batch.buckets.clone(),
            to: batch.to,
            when_idle: false,
        });
        let checks: Vec<PathCheck> = from
            .keys()
            .map(|&pair| PathCheck::new(pair, &mut self.context))
            .collect();
        batch.start_proving(checks, &self.context);
        for (from, buckets) in from {
            self.context.notify(Event::Moved {
                from,
                to: batch.to,
                buckets,
                barrier: true,
            });
        }
    }

    /// Whether every bucket is at its wanted pair and no move is unfinished.
    pub(super) fn is_settled(&self) -> bool {
        self.batches.is_empty() && self.idle_move.is_none() && self.placed == self.wanted
    }

    /// The pairs that buckets still have to leave, or whose checks are not complete. A dead one among
    /// them must stay fenced.
    pub(super) fn pairs_in_use(&self) -> BTreeSet<Ordinal> {
        let placed = self.placed.iter().zip(&self.wanted);
        let leaving = placed.filter(|(at, to)| at != to).map(|(&at, _)| at);
        let checks = self.batches.iter().flat_map(|batch| &batch.checks);
        leaving.chain(checks.map(|check| check.pair)).collect()
    }

    /// Ends or orphans the batches whose new pair has died.
    fn abandon_dead_targets(&mut self) {
        for batch in &mut self.batches {
            let to = self.pairs.all.get_mut(&batch.to);
            if let Some(dead) = to.and_then(|pair| pair.dead.as_mut())
                && let Some(hold) = batch.target_died(&self.context)
            {
                dead.add_hold(hold, &mut self.context);
            }
        }
        self.remove_finished_batches();
    }

    fn remove_finished_batches(&mut self) {
        for batch in &self.batches {
            let batch::Stage::Over { moved } = batch.stage else {
                continue;
            };
            if !moved {
                self.retry_at = self.context.now + RESEND_AFTER;
            }
            if let Some(change) = &mut self.change {
                match moved {
                    true => {
                        change.record_progress(&self.context);
                        change.outcome.moved_by_barrier += batch.buckets.len();
                    }
                    false => change.hold_not_confirmed(batch.to, &self.context),
                }
            }
        }
        self.batches
            .retain(|batch| !matches!(batch.stage, batch::Stage::Over { .. }));
    }

    fn start_moves(&mut self) {
        self.reassign_orphans();
        if self.placed == self.wanted || !self.context.reached(self.retry_at) {
            return;
        }
        let mut free: BTreeMap<(bool, Ordinal), BucketSet> = BTreeMap::new();
        let busy = self.buckets_in_batches();
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
                let batch = Batch::new(to, buckets, Vec::new(), false, &mut self.context);
                self.batches.push(batch);
            }
        }
        // Buckets of live pairs wait until the buckets of dead pairs have moved.
        if self.batches.iter().all(|batch| batch.planned) {
            self.start_planned_moves(free);
        }
    }

    fn start_planned_moves(&mut self, free: BTreeMap<(bool, Ordinal), BucketSet>) {
        let mut free: Vec<(Ordinal, BucketSet)> = free
            .into_iter()
            .filter(|((_, to), _)| self.is_fresh(*to))
            .map(|((_, to), buckets)| (to, buckets))
            .collect();
        if free.is_empty() || self.idle_move.is_some() {
            return;
        }
        if !self.idle_move_done && !self.context.settings.idle_time.is_zero() {
            self.idle_move = Some(IdleMove::new(free, &mut self.context));
            return;
        }
        free.retain(|(to, _)| !self.batches.iter().any(|batch| batch.to == *to));
        for (to, buckets) in free {
            let some = buckets
                .iter()
                .take(self.context.settings.batch.max(1))
                .collect();
            let batch = Batch::new(to, some, Vec::new(), true, &mut self.context);
            self.batches.push(batch);
        }
    }

    /// Moves the buckets of orphaned batches on to other pairs. Their incomplete checks go with them.
    fn reassign_orphans(&mut self) {
        let mut reassigned = Vec::new();
        for orphan in &mut self.batches {
            if !matches!(orphan.stage, batch::Stage::Orphaned { .. }) {
                continue;
            }
            let mut targets: BTreeMap<Ordinal, BucketSet> = BTreeMap::new();
            for bucket in orphan.buckets.iter() {
                let to = self.wanted[bucket as usize];
                if to != orphan.to && self.pairs.health(to) == Health::Up {
                    targets.entry(to).or_default().insert(bucket);
                }
            }
            for (to, buckets) in targets {
                buckets
                    .iter()
                    .for_each(|bucket| orphan.buckets.remove(bucket));
                let checks = orphan.checks.clone();
                reassigned.push(Batch::new(to, buckets, checks, false, &mut self.context));
            }
            if orphan.buckets.is_empty() {
                orphan.stage = batch::Stage::Over { moved: true };
            }
        }
        self.batches.extend(reassigned);
    }

    fn buckets_in_batches(&self) -> BucketSet {
        self.batches
            .iter()
            .flat_map(|batch| batch.buckets.iter())
            .collect()
    }

    fn is_fresh(&self, pair: Ordinal) -> bool {
        self.pairs
            .all
            .get(&pair)
            .is_some_and(|pair| pair.is_fresh(&self.context))
    }
}
