//! The last two readings of each role, and the rates between them.

use std::collections::BTreeMap;
use std::time::Instant;

use super::figures::sum;
use causeway_api::status::{Gateway, Reasons, Status, Worker};

/// One role, as its last two answers show it.
#[derive(Clone, Debug)]
pub struct Role {
    pub endpoint: String,
    latest: Option<Sample>,
    /// The reading before the latest one, if it is of the same process.
    previous: Option<Sample>,
    /// Why the last attempt failed; `None` if it succeeded.
    pub error: Option<String>,
}

#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    status: Status,
}

impl Role {
    /// A role without a reading.
    pub fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            latest: None,
            previous: None,
            error: None,
        }
    }

    /// Records an answer.
    pub fn answered(&mut self, at: Instant, status: Status) {
        self.error = None;
        let last = self.latest.replace(Sample { at, status });
        let same_process = |old: &Sample| {
            let new = self.latest.as_ref();
            new.is_some_and(|new| at > old.at && !restarted(&old.status, &new.status))
        };
        self.previous = last.filter(same_process);
    }

    /// Records a failed attempt. The last status stays, but there are no rates.
    pub fn failed(&mut self, error: String) {
        self.previous = None;
        self.error = Some(error);
    }

    /// The last status.
    pub fn status(&self) -> Option<&Status> {
        self.latest.as_ref().map(|sample| &sample.status)
    }

    /// The time of the last status.
    pub fn last_seen(&self) -> Option<Instant> {
        self.latest.as_ref().map(|sample| sample.at)
    }

    /// The rates between the last two readings. There are none before the second reading, while the role does
    /// not answer, and after its restart.
    pub fn rates(&self) -> Option<Rates<'_>> {
        let (old, new) = (self.previous.as_ref()?, self.latest.as_ref()?);
        Some(Rates {
            old: &old.status,
            new: &new.status,
            seconds: (new.at - old.at).as_secs_f64(),
        })
    }
}

/// Whether the two answers are of different processes.
fn restarted(old: &Status, new: &Status) -> bool {
    // An old version does not report its start time, so a counter that shrank shows its restart.
    old.since != new.since || new.steering.received < old.steering.received
}

/// The rates of a role between two readings of one process.
#[derive(Clone, Copy, Debug)]
pub struct Rates<'a> {
    old: &'a Status,
    new: &'a Status,
    seconds: f64,
}

impl<'a> Rates<'a> {
    pub fn per_second(&self, counter: impl Fn(&Status) -> u64) -> f64 {
        self.rate(counter(self.old), counter(self.new))
    }

    pub fn per_reason(&self, counters: impl Fn(&Status) -> &Reasons) -> BTreeMap<String, f64> {
        self.reason_rates(counters(self.old), counters(self.new))
    }

    /// The rate of a counter of one gateway. A gateway without an entry counts as 0.
    pub fn of_gateway(&self, name: &str, counter: impl Fn(&Gateway) -> u64) -> f64 {
        let count = |status: &Status| {
            let gateways = &status.steering.gateways;
            let gateway = gateways.iter().find(|gateway| gateway.name == name);
            gateway.map_or(0, &counter)
        };
        self.per_second(count)
    }

    /// The rates of one worker, if the previous reading has it too.
    pub fn of_worker(&self, worker: &'a Worker) -> Option<WorkerRates<'a>> {
        let same = |old: &&Worker| old.gateway == worker.gateway && old.worker == worker.worker;
        Some(WorkerRates {
            old: self.old.workers.iter().find(same)?,
            new: worker,
            role: *self,
        })
    }

    fn reason_rates(&self, old: &Reasons, new: &Reasons) -> BTreeMap<String, f64> {
        let rate = |(name, &count): (&String, &u64)| {
            let before = old.get(name).copied().unwrap_or(0);
            (name.clone(), self.rate(before, count))
        };
        new.iter().map(rate).collect()
    }

    /// Counters of a process never shrink, but the kernel's counters may. Then the rate is 0.
    fn rate(&self, old: u64, new: u64) -> f64 {
        new.saturating_sub(old) as f64 / self.seconds
    }
}

/// The rates of a worker between two readings.
#[derive(Clone, Copy, Debug)]
pub struct WorkerRates<'a> {
    old: &'a Worker,
    new: &'a Worker,
    role: Rates<'a>,
}

impl WorkerRates<'_> {
    pub fn per_second(&self, counter: impl Fn(&Worker) -> u64) -> f64 {
        self.role.rate(counter(self.old), counter(self.new))
    }

    pub fn per_reason(&self, counters: impl Fn(&Worker) -> &Reasons) -> BTreeMap<String, f64> {
        self.role
            .reason_rates(counters(self.old), counters(self.new))
    }

    /// The growth of one counter divided by the growth of another; `None` if the other did not grow.
    pub fn ratio(
        &self,
        counter: impl Fn(&Worker) -> u64,
        divisor: impl Fn(&Worker) -> u64,
    ) -> Option<f64> {
        let growth =
            |count: &dyn Fn(&Worker) -> u64| count(self.new).saturating_sub(count(self.old));
        let (count, divisor) = (growth(&counter), growth(&divisor));
        (divisor > 0).then(|| count as f64 / divisor as f64)
    }

    /// The share of time in which the worker did not sleep.
    pub fn busy(&self) -> f64 {
        let asleep = self.per_second(|worker| worker.rounds.asleep_ns) / 1e9;
        (1.0 - asleep).clamp(0.0, 1.0)
    }

    /// The mean burst length, in packets.
    pub fn mean_burst(&self) -> Option<f64> {
        self.ratio(
            |worker| worker.received,
            |worker| sum(worker.bursts.iter().map(|burst| burst.count)),
        )
    }

    /// The number of bursts of each length class.
    pub fn bursts(&self) -> Vec<u64> {
        let before = |class: usize| self.old.bursts.get(class).map_or(0, |burst| burst.count);
        let new = self.new.bursts.iter().enumerate();
        new.map(|(class, burst)| burst.count.saturating_sub(before(class)))
            .collect()
    }

    /// Nanoseconds per packet in a stage, if packets of the stage were timed.
    pub fn stage(&self, name: &str) -> Option<f64> {
        self.ratio(
            |worker| stage(worker, name).1,
            |worker| stage(worker, name).0,
        )
    }

    /// Nanoseconds per packet in all stages.
    pub fn all_stages(&self) -> Option<f64> {
        self.ratio(
            |worker| sum(worker.stages.iter().map(|stage| stage.ns)),
            |worker| stage(worker, "receive").0,
        )
    }

    /// The mean occupancy of a ring, as a share of its size.
    pub fn ring(&self, name: &str) -> Option<f64> {
        let ring = |worker: &Worker| {
            let mut rings = worker.rings.named().into_iter();
            rings.find(|(ring, _)| *ring == name).map(|(_, ring)| ring)
        };
        let mean = self.ratio(
            |worker| ring(worker).map_or(0, |ring| ring.entries),
            |worker| worker.rings.samples,
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
