//! Buckets that go to another pair while they are idle.
//!
//! A bucket without a packet since a marker was sent, which has come through its old pair and back,
//! has nothing on its way: the program may let it go over by itself. So the skew by which it goes is
//! opened only for the moment in which a marker has just come back, to that marker's age.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Output;
use super::desk::Desk;
use super::guard::Guard;
use crate::message::{Marker, TableId};
use crate::{BucketSet, Ordinal};

/// A skew by which nothing goes over. The program's clock compares times that are half an hour apart.
pub(super) const NEVER: Duration = Duration::from_secs(30 * 60);
/// How much older than the marker a bucket's last packet must be. Covers what the program and the
/// NIC still had in hand when the marker was sent, and how long the skew stays open.
const MARGIN: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Idle {
    /// The buckets that have not moved, by where they go.
    pub left: Vec<(Ordinal, BucketSet)>,
    /// What is asked has changed: it ends as soon as it can.
    pub given_up: bool,
    until: Duration,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Waiting(Duration),
    Marking { since: Duration, guards: Vec<Guard> },
    Polling,
}

impl Idle {
    pub fn new(left: Vec<(Ordinal, BucketSet)>, desk: &mut Desk) -> Self {
        for (to, buckets) in &left {
            desk.out.push_back(Output::Assign {
                buckets: buckets.clone(),
                to: *to,
                when_idle: true,
            });
        }
        Self {
            left,
            given_up: false,
            until: desk.now + desk.settings.idle_time,
            stage: Stage::Waiting(desk.now + MARGIN),
        }
    }

    /// Whether the program may be moving buckets right now: nothing may be decided about them.
    pub fn is_polling(&self) -> bool {
        matches!(self.stage, Stage::Polling)
    }

    pub fn hear(&mut self, marker: &Marker) -> bool {
        match &mut self.stage {
            Stage::Marking { guards, .. } => guards.iter_mut().any(|guard| guard.hear(marker)),
            Stage::Waiting(_) | Stage::Polling => false,
        }
    }

    /// Those of the buckets that have gone over, by where they went.
    pub fn moved(&mut self, moved: &BucketSet, desk: &Desk) -> Vec<(Ordinal, BucketSet)> {
        if !self.is_polling() {
            return Vec::new();
        }
        self.stage = Stage::Waiting(desk.now + MARGIN);
        let mut gone = Vec::new();
        for (to, left) in &mut self.left {
            let went: BucketSet = left.iter().filter(|&b| moved.contains(b)).collect();
            went.iter().for_each(|bucket| left.remove(bucket));
            gone.push((*to, went));
        }
        self.left.retain(|(_, left)| !left.is_empty());
        gone
    }

    /// Goes on as far as it can; `false` when it has ended. What has not moved then stays.
    pub fn step(&mut self, placed: &[Ordinal], desk: &mut Desk, table: TableId) -> bool {
        if self.is_polling() {
            return true;
        }
        if self.left.is_empty() || self.given_up || desk.past(self.until) {
            self.stay(placed, desk);
            return false;
        }
        if let Stage::Waiting(until) = self.stage
            && desk.past(until)
        {
            let from: BTreeSet<Ordinal> = self
                .left
                .iter()
                .flat_map(|(_, left)| left.iter())
                .map(|bucket| placed[bucket as usize])
                .collect();
            self.stage = Stage::Marking {
                since: desk.now,
                guards: from
                    .into_iter()
                    .map(|pair| Guard::new(pair, desk))
                    .collect(),
            };
        }
        if let Stage::Marking { since, guards } = &mut self.stage {
            if guards.iter().all(Guard::is_through) {
                let all = self.left.iter().flat_map(|(_, left)| left.iter()).collect();
                let skew = desk.now.saturating_sub(*since) + MARGIN;
                desk.out.push_back(Output::Skew(skew));
                desk.out.push_back(Output::PollIdle(all));
                desk.out.push_back(Output::Skew(NEVER));
                self.stage = Stage::Polling;
            } else {
                guards.iter_mut().for_each(|guard| guard.press(desk, table));
            }
        }
        true
    }

    fn stay(&self, placed: &[Ordinal], desk: &mut Desk) {
        let left: Vec<u32> = self.left.iter().flat_map(|(_, left)| left.iter()).collect();
        let pairs: BTreeSet<Ordinal> = left.iter().map(|&bucket| placed[bucket as usize]).collect();
        for to in pairs {
            let here = |bucket: &u32| placed[*bucket as usize] == to;
            desk.out.push_back(Output::Assign {
                buckets: left.iter().copied().filter(here).collect(),
                to,
                when_idle: true,
            });
        }
    }
}
