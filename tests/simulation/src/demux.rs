//! A simulated demux: the XDP program's bucket entries, the coordinator, and the stored state.

use std::collections::VecDeque;
use std::time::Duration;

use causeway_rescale::coordinator::{
    Coordinator, Event, Input, Outcome, Output, Refusal, Settings,
};
use causeway_rescale::message::ToGateway;
use causeway_rescale::{BucketSet, Ordinal};
use causeway_steering::bucket::clock;
use causeway_steering::{BUCKETS, Bucket};

use crate::disk::Disk;
use crate::link::{MS, Time, US};
use crate::random::Random;

/// CPUs on which the program runs.
const CPUS: usize = 2;
/// The delay between a run of the program and the departure of its packet: usually and at most.
const FLUSH: [Time; 2] = [100 * US, 3 * MS];

/// The most messages in the process's queue. Further messages are lost.
const QUEUE: usize = 512;

/// An action of the demux that other parts of the simulation see.
#[derive(Debug)]
pub enum Action {
    Send(Ordinal, ToGateway),
    /// The result of a command.
    Done(Result<Outcome, Refusal>),
    Log(Event),
}

pub struct Demux {
    /// `None` while the process does not run. Then no packet is steered.
    pub coordinator: Option<Coordinator>,
    /// A number that changes with each start and stop, so that earlier wake-ups are ignored.
    pub life: u64,
    disk: Disk,
    settings: Settings,
    entries: Vec<Option<Bucket>>,
    skew: u32,
    inputs: VecDeque<Input>,
    busy: bool,
    /// The process is stopped, but the program still runs.
    pub is_frozen: bool,
    flushed: [Time; CPUS],
}

impl Demux {
    pub fn new(settings: Settings, disk: Disk) -> Self {
        Self {
            coordinator: None,
            life: 0,
            disk,
            settings,
            entries: vec![None; BUCKETS as usize],
            skew: 0,
            inputs: VecDeque::new(),
            busy: false,
            is_frozen: false,
            flushed: [0; CPUS],
        }
    }

    pub fn start(&mut self, now: Time, random: &mut Random) {
        self.stop();
        let (settings, disk) = (self.settings.clone(), self.disk.state.clone());
        let number = random.bits();
        self.coordinator = Some(Coordinator::new(settings, disk, number, time(now)));
    }

    /// The process is killed, and with it the program.
    pub fn stop(&mut self) {
        self.life += 1;
        self.coordinator = None;
        self.inputs.clear();
        self.disk.forget_refused();
        (self.busy, self.is_frozen) = (false, false);
        self.entries.fill(None);
    }

    /// The pair to which the program sends a packet, and the time at which the packet leaves.
    pub fn steer(
        &mut self,
        bucket: u32,
        now: Time,
        random: &mut Random,
    ) -> Option<(Ordinal, Time)> {
        let skew = self.skew;
        let entry = self.entries[bucket as usize].as_mut()?;
        *entry = entry.route(|| clock(now), skew);
        let to = Ordinal(entry.gateway);
        let flushed = &mut self.flushed[bucket as usize % CPUS];
        let late = FLUSH[usize::from(random.chance(20_000))];
        *flushed = (now + random.below(late)).max(*flushed);
        Some((to, *flushed))
    }

    pub fn entry(&self, bucket: u32) -> Option<Bucket> {
        self.entries[bucket as usize]
    }

    /// The epoch of the table in force, and whether a change or a command is pending. `None` while the process does not run.
    pub fn epoch(&self) -> Option<(u64, bool)> {
        let coordinator = self.coordinator.as_ref()?;
        let command = |input: &Input| matches!(input, Input::Command { .. });
        let pending = coordinator.under_way().is_some() || self.inputs.iter().any(command);
        Some((coordinator.table().epoch(), pending))
    }

    pub fn receive(&mut self, input: Input) {
        if self.coordinator.is_some() && self.inputs.len() < QUEUE {
            self.inputs.push_back(input);
        }
    }

    /// The executor has finished its last output.
    pub fn set_idle(&mut self) {
        self.busy = false;
    }

    /// Carries out the coordinator's outputs and passes the inputs to it. Returns the next wake-up, or
    /// as `Err` the time until which the executor is busy.
    pub fn run(
        &mut self,
        now: Time,
        random: &mut Random,
        actions: &mut Vec<Action>,
    ) -> Result<Time, Time> {
        if self.busy || self.is_frozen || self.coordinator.is_none() {
            return Ok(Time::MAX);
        }
        loop {
            let output = self.coordinator.as_mut().and_then(Coordinator::poll);
            match output {
                Some(output) => {
                    if let Some(busy) = self.carry_out(output, now, random, actions) {
                        self.busy = true;
                        return Err(now + busy);
                    }
                }
                None => {
                    self.inputs.extend(self.disk.retry());
                    let Some(coordinator) = &mut self.coordinator else {
                        return Ok(Time::MAX);
                    };
                    match self.inputs.pop_front() {
                        Some(input) => coordinator.handle(time(now), input),
                        None => return Ok(coordinator.next_wake().as_nanos() as Time),
                    }
                }
            }
        }
    }

    /// Carries out one output. Returns how long that takes, unless it takes no time.
    fn carry_out(
        &mut self,
        output: Output,
        now: Time,
        random: &mut Random,
        actions: &mut Vec<Action>,
    ) -> Option<Time> {
        match output {
            Output::ToGateway(to, message) => actions.push(Action::Send(to, message)),
            Output::Assign {
                buckets,
                to,
                when_idle: false,
            } => {
                for bucket in buckets.iter() {
                    self.entries[bucket as usize] = Some(Bucket::direct(to.0));
                }
                // The time of an RCU grace period.
                return Some(random.within(FLUSH[1], 12 * MS));
            }
            Output::Assign { buckets, to, .. } => {
                for bucket in buckets.iter() {
                    if let Some(entry) = &mut self.entries[bucket as usize] {
                        *entry = Bucket::moving(entry.gateway, to.0, clock(now));
                    }
                }
            }
            Output::PollIdle(buckets) => {
                let moved = self.settle(&buckets, now);
                self.inputs.push_front(Input::Idle(moved));
                return Some(random.below(200 * US));
            }
            Output::Skew(skew) => {
                self.skew = (skew.as_nanos() >> 10) as u32;
                return Some(random.below(200 * US));
            }
            Output::Store { id, state } => self.inputs.push_back(self.disk.store(id, state)),
            Output::Done(result) => actions.push(Action::Done(result)),
            Output::Event(event) => actions.push(Action::Log(event)),
        }
        None
    }

    /// The same as `Program::settle` of causeway-demux.
    fn settle(&mut self, buckets: &BucketSet, now: Time) -> BucketSet {
        let mut settled = BucketSet::new();
        for bucket in buckets.iter() {
            let Some(entry) = &mut self.entries[bucket as usize] else {
                continue;
            };
            if entry.is_moving() {
                if !entry.is_idle(clock(now), self.skew) {
                    continue;
                }
                *entry = Bucket::direct(entry.next);
            }
            settled.insert(bucket);
        }
        settled
    }
}

fn time(now: Time) -> Duration {
    Duration::from_nanos(now)
}
