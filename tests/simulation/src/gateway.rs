//! A simulated gateway process: a responder and its workers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use causeway_gateway::{Hold, Holds};
use causeway_rescale::message::{FromGateway, Marker, PeerMessage, Reply, Request, ToGateway};
use causeway_steering::SteerHash;

use crate::link::{MS, Time};

/// The most packets in a receive ring. Further packets are lost.
const RING: usize = 2048;
/// The most requests in the responder's queue. Further requests are lost.
const INBOX: usize = 256;
/// Packets that a worker takes in a round.
const BURST: usize = 16;
/// A worker that did not run for longer discards the packets that it finds.
const STALL_AFTER: Time = 250 * MS;
/// The most packets that a worker holds.
const BOUND: usize = 4096;

/// A packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub flow: u16,
    pub number: u32,
    pub bucket: u32,
}

/// The content of a sealed packet.
#[derive(Clone, Debug)]
pub enum Inner {
    Packet(Packet),
    ControlMessage(PeerMessage),
}

/// An entry of a worker's ring.
#[derive(Clone, Debug)]
pub enum Item {
    Seal(Packet),
    Open(Inner),
    /// A request to seal a marker, behind all earlier entries.
    Mark(usize, Marker),
}

/// A packet that a worker sends.
#[derive(Debug)]
pub enum Sent {
    /// To the peer's gateway.
    Sealed(Inner),
    /// To a host or to this VPC's demux.
    Opened(Inner),
}

/// A command to a worker, with the index of its job.
#[derive(Clone, Debug)]
enum Command {
    Hold(usize, Hold),
    Release(usize, u64),
    Mark(usize, Marker),
    SendToPeer(usize, PeerMessage),
    Fence(usize, bool),
    Reset(usize),
}

/// A pending request. The gateway replies when all workers have done it.
#[derive(Debug)]
struct Job {
    id: u64,
    reply: Reply,
    left: usize,
    refused: bool,
}

#[derive(Debug, Default)]
struct Jobs {
    all: Vec<Job>,
    done: Vec<usize>,
}

impl Jobs {
    /// Records that a worker has done its part of a job.
    fn finish(&mut self, job: usize) {
        self.all[job].left -= 1;
        if self.all[job].left == 0 {
            self.done.push(job);
        }
    }
}

pub struct Worker {
    ring: VecDeque<Item>,
    commands: VecDeque<Command>,
    holds: Holds<Packet>,
    fenced: bool,
    pub last_run: Time,
    pub is_awake: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    Runs,
    Stopped,
    Dead,
}

pub struct Gateway {
    pub process: Process,
    pub boot: u64,
    pub workers: Vec<Worker>,
    inbox: VecDeque<ToGateway>,
    jobs: Jobs,
    zero: Instant,
}

impl Worker {
    fn new() -> Self {
        Self {
            ring: VecDeque::new(),
            commands: VecDeque::new(),
            holds: Holds::new(BOUND),
            fenced: false,
            last_run: 0,
            is_awake: false,
        }
    }

    pub fn push(&mut self, item: Item) {
        if self.ring.len() < RING {
            self.ring.push_back(item);
        }
    }

    pub fn has_work(&self) -> bool {
        !self.ring.is_empty() || !self.commands.is_empty() || !self.holds.is_empty()
    }

    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    pub fn holds(&self) -> usize {
        self.holds.len()
    }
}

impl Gateway {
    pub fn new(workers: usize, zero: Instant) -> Self {
        Self {
            process: Process::Runs,
            boot: 0,
            workers: (0..workers).map(|_| Worker::new()).collect(),
            inbox: VecDeque::new(),
            jobs: Jobs::default(),
            zero,
        }
    }

    /// Starts a new process without the state of the one before.
    pub fn restart(&mut self, now: Time) {
        let boot = self.boot + 1;
        *self = Self::new(self.workers.len(), self.zero);
        self.boot = boot;
        for worker in &mut self.workers {
            worker.last_run = now;
        }
    }

    pub fn receive(&mut self, request: ToGateway) {
        if self.inbox.len() < INBOX {
            self.inbox.push_back(request);
        }
    }

    /// The responder passes the queued requests to the workers.
    pub fn process_requests(&mut self, now: Time) {
        while let Some(ToGateway { id, request, .. }) = self.inbox.pop_front() {
            let job = self.jobs.all.len();
            let all = self.workers.len();
            let (reply, left) = match &request {
                Request::Mark { .. } => (Reply::Sealed, all),
                Request::SendToPeer { .. } => (Reply::Sealed, 1),
                Request::Hold { .. } => (Reply::Held, all),
                Request::Release { .. } => (
                    Reply::Released {
                        packets: 0,
                        dropped: 0,
                    },
                    all,
                ),
                Request::Fence => (Reply::Fenced, all),
                Request::Lift => (Reply::Lifted, all),
                Request::Reset => (Reply::ResetDone, all),
            };
            self.jobs.all.push(Job {
                id,
                reply,
                left,
                refused: false,
            });
            for at in 0..left {
                let command = self.command(job, id, at, &request, now);
                self.workers[at].commands.push_back(command);
            }
        }
    }

    fn command(&self, job: usize, id: u64, worker: usize, request: &Request, now: Time) -> Command {
        match request {
            Request::Mark { marker, .. } => Command::Mark(
                job,
                Marker {
                    worker: worker as u16,
                    workers: self.workers.len() as u16,
                    ..*marker
                },
            ),
            Request::SendToPeer { message, .. } => Command::SendToPeer(job, message.clone()),
            Request::Hold {
                buckets,
                limit_ms,
                hold_timeout_action,
            } => Command::Hold(
                job,
                Hold {
                    tunnel: 0,
                    id,
                    buckets: buckets.clone(),
                    hash: SteerHash::new([0; 16]),
                    until: self.instant(now + u64::from(*limit_ms) * MS),
                    hold_timeout_action: *hold_timeout_action,
                },
            ),
            Request::Release { hold } => Command::Release(job, *hold),
            Request::Fence => Command::Fence(job, true),
            Request::Lift => Command::Fence(job, false),
            Request::Reset => Command::Reset(job),
        }
    }

    fn instant(&self, time: Time) -> Instant {
        self.zero + Duration::from_nanos(time)
    }

    /// Runs one round of a worker: commands, then a burst. Appends the sent packets in order.
    pub fn run(&mut self, at: usize, now: Time, sent: &mut Vec<Sent>) {
        let instant = self.instant(now);
        let Self { workers, jobs, .. } = self;
        let worker = &mut workers[at];
        if now.saturating_sub(worker.last_run) > STALL_AFTER {
            worker.ring.retain(|item| matches!(item, Item::Mark(..)));
            worker.holds.clear(|_| {});
        }
        worker.last_run = now;
        worker.holds.expire(instant, |_| {});
        worker.send_released(sent);
        while let Some(command) = worker.commands.pop_front() {
            worker.process_command(command, jobs, sent);
        }
        for _ in 0..BURST {
            match worker.ring.pop_front() {
                Some(Item::Seal(packet)) => worker.seal(packet, 0, sent),
                Some(Item::Open(inner)) if !worker.fenced => sent.push(Sent::Opened(inner)),
                Some(Item::Open(_)) => {}
                Some(Item::Mark(job, marker)) => {
                    sent.push(Sent::Sealed(Inner::ControlMessage(PeerMessage::Marker(
                        marker,
                    ))));
                    jobs.finish(job);
                }
                None => break,
            }
        }
    }

    /// The replies to all requests that are done by now.
    pub fn take_replies(&mut self) -> Vec<FromGateway> {
        let done = std::mem::take(&mut self.jobs.done);
        let reply = |job: usize| {
            let job = &self.jobs.all[job];
            let reply = match job.refused {
                true => Reply::Refused { why: String::new() },
                false => job.reply.clone(),
            };
            FromGateway {
                id: job.id,
                boot: self.boot,
                reply,
            }
        };
        done.into_iter().map(reply).collect()
    }
}

impl Worker {
    fn seal(&mut self, packet: Packet, place: usize, sent: &mut Vec<Sent>) {
        match self.holds.find(place, 0, |_| packet.bucket) {
            // A packet that exceeds the hold's capacity is dropped.
            Some(place) => drop(self.holds.keep(place, packet)),
            None => sent.push(Sent::Sealed(Inner::Packet(packet))),
        }
    }

    /// Seals the released packets.
    fn send_released(&mut self, sent: &mut Vec<Sent>) {
        while let Some((packet, place)) = self.holds.pop() {
            self.seal(packet, place, sent);
        }
        while self.holds.end().is_some() {}
    }

    fn process_command(&mut self, command: Command, jobs: &mut Jobs, sent: &mut Vec<Sent>) {
        let job = match command {
            Command::Hold(job, hold) => {
                jobs.all[job].refused |= self.holds.begin(hold).is_err();
                job
            }
            Command::Release(job, id) => {
                let known = self.holds.release(id);
                self.send_released(sent);
                // `Holds` keeps the counts of the last ended holds.
                match known.and_then(|_| self.holds.release(id)) {
                    Ok(count) => {
                        let count = count.unwrap_or_default();
                        if let Reply::Released { packets, dropped } = &mut jobs.all[job].reply {
                            *packets += count.packets;
                            *dropped += count.dropped;
                        }
                    }
                    Err(_) => jobs.all[job].refused = true,
                }
                job
            }
            Command::Mark(job, marker) => {
                // A marker is queued even if the ring is full.
                self.ring.push_back(Item::Mark(job, marker));
                return;
            }
            Command::SendToPeer(job, message) => {
                sent.push(Sent::Sealed(Inner::ControlMessage(message)));
                job
            }
            Command::Fence(job, fenced) => {
                self.fenced = fenced;
                job
            }
            Command::Reset(job) => {
                self.holds.release_all(0);
                self.send_released(sent);
                self.fenced = false;
                job
            }
        };
        jobs.finish(job);
    }
}
