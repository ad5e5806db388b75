//! What is known of the roles: the last two looks at each, and what became of the counters in between.

use std::collections::BTreeMap;
use std::time::Instant;

use super::figures::sum;
use crate::status::{Reasons, Status, Worker};

/// One role, asked again and again.
#[derive(Clone, Debug)]
pub struct Role {
    /// Where it is asked.
    pub endpoint: String,
    latest: Option<Look>,
    /// The look before the latest, of the same process.
    before: Option<Look>,
    /// Why the last try brought no look.
    pub trouble: Option<String>,
}

#[derive(Clone, Debug)]
struct Look {
    at: Instant,
    status: Status,
}

impl Role {
    /// A role that has not been asked yet.
    pub fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            latest: None,
            before: None,
            trouble: None,
        }
    }

    /// The role has answered.
    pub fn saw(&mut self, at: Instant, status: Status) {
        self.trouble = None;
        let last = self.latest.replace(Look { at, status });
        let same = |old: &Look| {
            let new = self.latest.as_ref();
            new.is_some_and(|new| at > old.at && !restarted(&old.status, &new.status))
        };
        self.before = last.filter(same);
    }

    /// The role has not answered. What it said last stays, and no rate is told.
    pub fn missed(&mut self, trouble: String) {
        self.before = None;
        self.trouble = Some(trouble);
    }

    /// The role's last words.
    pub fn status(&self) -> Option<&Status> {
        self.latest.as_ref().map(|look| &look.status)
    }

    /// When they came.
    pub fn seen(&self) -> Option<Instant> {
        self.latest.as_ref().map(|look| look.at)
    }

    /// What happened between the last two looks. Nothing is known of that before the second one, while the
    /// role is gone, and after it has restarted.
    pub fn pace(&self) -> Option<Pace<'_>> {
        let (old, new) = (self.before.as_ref()?, self.latest.as_ref()?);
        Some(Pace {
            old: &old.status,
            new: &new.status,
            seconds: (new.at - old.at).as_secs_f64(),
        })
    }
}

/// Whether another process answers than before.
fn restarted(old: &Status, new: &Status) -> bool {
    // A role of a version that does not tell when it started is known by its counters.
    old.since != new.since || new.steering.received < old.steering.received
}

/// Two looks at one process.
#[derive(Clone, Copy, Debug)]
pub struct Pace<'a> {
    old: &'a Status,
    new: &'a Status,
    seconds: f64,
}

impl<'a> Pace<'a> {
    /// What a counter grew by, per second.
    pub fn of(&self, counter: impl Fn(&Status) -> u64) -> f64 {
        self.per_second(counter(self.old), counter(self.new))
    }

    /// What each of the counters grew by, per second.
    pub fn of_each(&self, counters: impl Fn(&Status) -> &Reasons) -> BTreeMap<String, f64> {
        self.grown(counters(self.old), counters(self.new))
    }

    /// The same for a gateway that the role steers to; 0 if it was none before.
    pub fn of_gateway(&self, name: &str, counter: impl Fn(&crate::status::Gateway) -> u64) -> f64 {
        let count = |status: &Status| {
            let gateways = &status.steering.gateways;
            let gateway = gateways.iter().find(|gateway| gateway.name == name);
            gateway.map_or(0, &counter)
        };
        self.of(count)
    }

    /// The pace of one of the role's workers, if it was there before.
    pub fn of_worker(&self, worker: &'a Worker) -> Option<WorkerPace<'a>> {
        let is_it = |old: &&Worker| old.gateway == worker.gateway && old.worker == worker.worker;
        Some(WorkerPace {
            old: self.old.workers.iter().find(is_it)?,
            new: worker,
            pace: *self,
        })
    }

    fn grown(&self, old: &Reasons, new: &Reasons) -> BTreeMap<String, f64> {
        let rate = |(name, &count): (&String, &u64)| {
            let before = old.get(name).copied().unwrap_or(0);
            (name.clone(), self.per_second(before, count))
        };
        new.iter().map(rate).collect()
    }

    /// A counter never shrinks while its process lives, but what a kernel tells of its own may.
    fn per_second(&self, old: u64, new: u64) -> f64 {
        new.saturating_sub(old) as f64 / self.seconds
    }
}

/// Two looks at one worker.
#[derive(Clone, Copy, Debug)]
pub struct WorkerPace<'a> {
    old: &'a Worker,
    new: &'a Worker,
    pace: Pace<'a>,
}

impl WorkerPace<'_> {
    /// What a counter grew by, per second.
    pub fn of(&self, counter: impl Fn(&Worker) -> u64) -> f64 {
        self.pace.per_second(counter(self.old), counter(self.new))
    }

    /// What each of the counters grew by, per second.
    pub fn of_each(&self, counters: impl Fn(&Worker) -> &Reasons) -> BTreeMap<String, f64> {
        self.pace.grown(counters(self.old), counters(self.new))
    }

    /// What one counter grew by for each that another one did; nothing if that one stood still.
    pub fn ratio(
        &self,
        counter: impl Fn(&Worker) -> u64,
        each: impl Fn(&Worker) -> u64,
    ) -> Option<f64> {
        let grown =
            |count: &dyn Fn(&Worker) -> u64| count(self.new).saturating_sub(count(self.old));
        let (count, each) = (grown(&counter), grown(&each));
        (each > 0).then(|| count as f64 / each as f64)
    }

    /// The share of the time in which it did not sleep.
    pub fn busy(&self) -> f64 {
        let asleep = self.of(|worker| worker.rounds.asleep_ns) / 1e9;
        (1.0 - asleep).clamp(0.0, 1.0)
    }

    /// Packets that came at once, on average.
    pub fn burst(&self) -> Option<f64> {
        self.ratio(
            |worker| worker.received,
            |worker| sum(worker.bursts.iter().map(|burst| burst.count)),
        )
    }

    /// How many bursts of each class came.
    pub fn bursts(&self) -> Vec<u64> {
        let before = |place: usize| self.old.bursts.get(place).map_or(0, |burst| burst.count);
        let new = self.new.bursts.iter().enumerate();
        new.map(|(place, burst)| burst.count.saturating_sub(before(place)))
            .collect()
    }

    /// Nanoseconds that a packet takes in a stage, if any was timed.
    pub fn stage(&self, name: &str) -> Option<f64> {
        self.ratio(
            |worker| stage(worker, name).1,
            |worker| stage(worker, name).0,
        )
    }

    /// Nanoseconds that a packet takes in all of them together.
    pub fn all_stages(&self) -> Option<f64> {
        self.ratio(
            |worker| sum(worker.stages.iter().map(|stage| stage.ns)),
            |worker| stage(worker, "receive").0,
        )
    }

    /// How full a ring is, as a share of what fits in.
    pub fn ring(&self, name: &str) -> Option<f64> {
        let ring = |worker: &Worker| {
            let mut rings = worker.rings.named().into_iter();
            rings.find(|(ring, _)| *ring == name).map(|(_, ring)| ring)
        };
        let mean = self.ratio(
            |worker| ring(worker).map_or(0, |ring| ring.entries),
            |worker| worker.rings.looks,
        )?;
        let room = ring(self.new)?.room;
        (room > 0).then(|| mean / room as f64)
    }
}

/// Packets and nanoseconds of a stage.
fn stage(worker: &Worker, name: &str) -> (u64, u64) {
    let mut stages = worker.stages.iter();
    let stage = stages.find(|stage| stage.stage == name);
    stage.map_or((0, 0), |stage| (stage.packets, stage.ns))
}
