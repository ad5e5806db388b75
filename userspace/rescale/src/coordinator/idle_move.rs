//! Moves buckets to another pair while they are idle.
//!
//! If a marker went through the old pair and its echo is back, then all packets before the marker have
//! arrived. A bucket without a packet since then can move at once. So when an echo arrives, the
//! program's skew is set to the marker's age for a moment, and the program moves the idle buckets.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::Context;
use super::io::Output;
use super::path_check::PathCheck;
use crate::buckets::BucketSet;
use crate::change::Ordinal;
use crate::message::{Marker, TableId};

/// A skew that no bucket reaches. The program's clock compares times up to about half an hour apart.
pub(super) const NEVER: Duration = Duration::from_secs(30 * 60);
/// A bucket's last packet must be this much older than the marker. The margin covers packets that the
/// program and the NIC still had when the marker was sent, and the time during which the skew is set.
const MARGIN: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct IdleMove {
    /// The buckets that have not moved yet, by their new pair.
    pub remaining: Vec<(Ordinal, BucketSet)>,
    /// The wanted pairs have changed, so the attempt ends as soon as possible.
    pub cancelled: bool,
    until: Duration,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Waiting(Duration),
    Marking {
        since: Duration,
        checks: Vec<PathCheck>,
    },
    Polling,
}

impl IdleMove {
    pub fn new(remaining: Vec<(Ordinal, BucketSet)>, context: &mut Context) -> Self {
        for (to, buckets) in &remaining {
            context.outputs.push_back(Output::Assign {
                buckets: buckets.clone(),
                to: *to,
                when_idle: true,
            });
        }
        Self {
            remaining,
            cancelled: false,
            until: context.now + context.settings.idle_time,
            stage: Stage::Waiting(context.now + MARGIN),
        }
    }

    /// Whether the program may be moving buckets now, so that no other move may start.
    pub fn is_polling(&self) -> bool {
        matches!(self.stage, Stage::Polling)
    }

    pub fn receive(&mut self, marker: &Marker) -> bool {
        match &mut self.stage {
            Stage::Marking { checks, .. } => checks.iter_mut().any(|check| check.receive(marker)),
            Stage::Waiting(_) | Stage::Polling => false,
        }
    }

    /// Removes the moved buckets from the remaining ones and returns them by their new pair.
    pub fn take_moved(
        &mut self,
        moved: &BucketSet,
        context: &Context,
    ) -> Vec<(Ordinal, BucketSet)> {
        if !self.is_polling() {
            return Vec::new();
        }
        self.stage = Stage::Waiting(context.now + MARGIN);
        let mut gone = Vec::new();
        for (to, remaining) in &mut self.remaining {
            let went: BucketSet = remaining.iter().filter(|&b| moved.contains(b)).collect();
            went.iter().for_each(|bucket| remaining.remove(bucket));
            gone.push((*to, went));
        }
        self.remaining
            .retain(|(_, remaining)| !remaining.is_empty());
        gone
    }

    /// Advances the stage; `false` once the attempt is over. Buckets that have not moved by then stay
    /// at their pairs.
    pub fn step(&mut self, placed: &[Ordinal], context: &mut Context, table: TableId) -> bool {
        if self.is_polling() {
            return true;
        }
        if self.remaining.is_empty() || self.cancelled || context.reached(self.until) {
            self.keep_remaining(placed, context);
            return false;
        }
        if let Stage::Waiting(until) = self.stage
            && context.reached(until)
        {
            let from: BTreeSet<Ordinal> = self
                .remaining
                .iter()
                .flat_map(|(_, remaining)| remaining.iter())
                .map(|bucket| placed[bucket as usize])
                .collect();
            self.stage = Stage::Marking {
                since: context.now,
                checks: from
                    .into_iter()
                    .map(|pair| PathCheck::new(pair, context))
                    .collect(),
            };
        }
        if let Stage::Marking { since, checks } = &mut self.stage {
            if checks.iter().all(PathCheck::is_complete) {
                let all = self
                    .remaining
                    .iter()
                    .flat_map(|(_, remaining)| remaining.iter())
                    .collect();
                let skew = context.now.saturating_sub(*since) + MARGIN;
                context.outputs.push_back(Output::Skew(skew));
                context.outputs.push_back(Output::PollIdle(all));
                context.outputs.push_back(Output::Skew(NEVER));
                self.stage = Stage::Polling;
            } else {
                checks
                    .iter_mut()
                    .for_each(|check| check.resend(context, table));
            }
        }
        true
    }

    fn keep_remaining(&self, placed: &[Ordinal], context: &mut Context) {
        let remaining: Vec<u32> = self
            .remaining
            .iter()
            .flat_map(|(_, remaining)| remaining.iter())
            .collect();
        let pairs: BTreeSet<Ordinal> = remaining
            .iter()
            .map(|&bucket| placed[bucket as usize])
            .collect();
        for to in pairs {
            let here = |bucket: &u32| placed[*bucket as usize] == to;
            context.outputs.push_back(Output::Assign {
                buckets: remaining.iter().copied().filter(here).collect(),
                to,
                when_idle: true,
            });
        }
    }
}
