//! A gateway's process: an agent and its workers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use causeway_gateway::{Hold, Holds};
use causeway_rescale::message::{FromGateway, Marker, PeerWord, Reply, Request, ToGateway};
use causeway_steering::SteerHash;

use crate::link::{MS, Time};

/// Packets of a receive ring; more are lost.
const RING: usize = 2048;
/// Requests that wait for the agent; more are lost.
const INBOX: usize = 256;
/// Packets that a worker takes in a round.
const BURST: usize = 16;
/// A worker that stood still for longer discards what it finds.
const STANDSTILL: Time = 250 * MS;
/// Packets that a worker holds at most.
const BOUND: usize = 4096;

/// A packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub flow: u16,
    pub number: u32,
    pub bucket: u32,
}

/// What a tunnel carries.
#[derive(Clone, Debug)]
pub enum Inner {
    Packet(Packet),
    Word(PeerWord),
}

/// What lies in a worker's ring.
#[derive(Clone, Debug)]
pub enum Item {
    Seal(Packet),
    Open(Inner),
    /// A request to seal a marker, behind what the ring had before.
    Mark(usize, Marker),
}

/// What a worker sends.
#[derive(Debug)]
pub enum Sent {
    /// Into the tunnel.
    Sealed(Inner),
    /// To a host, or to this VPC's demux.
    Opened(Inner),
}

/// What the agent tells a worker, with the place of the job that it belongs to.
#[derive(Clone, Debug)]
enum Order {
    Hold(usize, Hold),
    Release(usize, u64),
    Mark(usize, Marker),
    Carry(usize, PeerWord),
    Fence(usize, bool),
    Reset(usize),
}

/// A request under way: answered when all workers have done it.
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
    /// A worker has done its part of a job.
    fn finish(&mut self, job: usize) {
        self.all[job].left -= 1;
        if self.all[job].left == 0 {
            self.done.push(job);
        }
    }
}

pub struct Worker {
    ring: VecDeque<Item>,
    orders: VecDeque<Order>,
    holds: Holds<Packet>,
    fenced: bool,
    /// When it ran last, if it stands still.
    pub last_run: Time,
    pub is_awake: bool,
}

/// What a process is doing.
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
            orders: VecDeque::new(),
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
        !self.ring.is_empty() || !self.orders.is_empty() || !self.holds.is_empty()
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

    /// Another process, with nothing of the one before.
    pub fn restart(&mut self, now: Time) {
        let boot = self.boot + 1;
        *self = Self::new(self.workers.len(), self.zero);
        self.boot = boot;
        for worker in &mut self.workers {
            worker.last_run = now;
        }
    }

    pub fn hear(&mut self, request: ToGateway) {
        if self.inbox.len() < INBOX {
            self.inbox.push_back(request);
        }
    }

    /// The agent hands on what it was asked.
    pub fn serve(&mut self, now: Time) {
        while let Some(ToGateway { id, request, .. }) = self.inbox.pop_front() {
            let job = self.jobs.all.len();
            let all = self.workers.len();
            let (reply, left) = match &request {
                Request::Mark { .. } => (Reply::Sealed, all),
                Request::Carry { .. } => (Reply::Sealed, 1),
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
                let order = self.order(job, id, at, &request, now);
                self.workers[at].orders.push_back(order);
            }
        }
    }

    fn order(&self, job: usize, id: u64, worker: usize, request: &Request, now: Time) -> Order {
        match request {
            Request::Mark { marker, .. } => Order::Mark(
                job,
                Marker {
                    worker: worker as u16,
                    workers: self.workers.len() as u16,
                    ..*marker
                },
            ),
            Request::Carry { word, .. } => Order::Carry(job, word.clone()),
            Request::Hold {
                buckets,
                limit_ms,
                at_limit,
            } => Order::Hold(
                job,
                Hold {
                    tunnel: 0,
                    id,
                    buckets: buckets.clone(),
                    hash: SteerHash::new([0; 16]),
                    until: self.instant(now + u64::from(*limit_ms) * MS),
                    at_limit: *at_limit,
                },
            ),
            Request::Release { hold } => Order::Release(job, *hold),
            Request::Fence => Order::Fence(job, true),
            Request::Lift => Order::Fence(job, false),
            Request::Reset => Order::Reset(job),
        }
    }

    fn instant(&self, time: Time) -> Instant {
        self.zero + Duration::from_nanos(time)
    }

    /// One round of a worker: orders, then a burst. What it sends, in this order.
    pub fn run(&mut self, at: usize, now: Time, sent: &mut Vec<Sent>) {
        let instant = self.instant(now);
        let Self { workers, jobs, .. } = self;
        let worker = &mut workers[at];
        if now.saturating_sub(worker.last_run) > STANDSTILL {
            worker.ring.retain(|item| matches!(item, Item::Mark(..)));
            worker.holds.clear(|_| {});
        }
        worker.last_run = now;
        worker.holds.expire(instant, |_| {});
        worker.let_go(sent);
        while let Some(order) = worker.orders.pop_front() {
            worker.obey(order, jobs, sent);
        }
        for _ in 0..BURST {
            match worker.ring.pop_front() {
                Some(Item::Seal(packet)) => worker.seal(packet, 0, sent),
                Some(Item::Open(inner)) if !worker.fenced => sent.push(Sent::Opened(inner)),
                Some(Item::Open(_)) => {}
                Some(Item::Mark(job, marker)) => {
                    sent.push(Sent::Sealed(Inner::Word(PeerWord::Marker(marker))));
                    jobs.finish(job);
                }
                None => break,
            }
        }
    }

    /// What the agent answers by now.
    pub fn answers(&mut self) -> Vec<FromGateway> {
        let done = std::mem::take(&mut self.jobs.done);
        let answer = |job: usize| {
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
        done.into_iter().map(answer).collect()
    }
}

impl Worker {
    fn seal(&mut self, packet: Packet, place: usize, sent: &mut Vec<Sent>) {
        match self.holds.find(place, 0, |_| packet.bucket) {
            // What does not fit is dropped.
            Some(place) => drop(self.holds.keep(place, packet)),
            None => sent.push(Sent::Sealed(Inner::Packet(packet))),
        }
    }

    /// Works off what is released.
    fn let_go(&mut self, sent: &mut Vec<Sent>) {
        while let Some((packet, place)) = self.holds.pop() {
            self.seal(packet, place, sent);
        }
        while self.holds.end().is_some() {}
    }

    fn obey(&mut self, order: Order, jobs: &mut Jobs, sent: &mut Vec<Sent>) {
        let job = match order {
            Order::Hold(job, hold) => {
                jobs.all[job].refused |= self.holds.begin(hold).is_err();
                job
            }
            Order::Release(job, id) => {
                let known = self.holds.release(id);
                self.let_go(sent);
                // What is over at last is remembered.
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
            Order::Mark(job, marker) => {
                // Never refused by a full ring.
                self.ring.push_back(Item::Mark(job, marker));
                return;
            }
            Order::Carry(job, word) => {
                sent.push(Sent::Sealed(Inner::Word(word)));
                job
            }
            Order::Fence(job, fenced) => {
                self.fenced = fenced;
                job
            }
            Order::Reset(job) => {
                self.holds.release_all(0);
                self.let_go(sent);
                self.fenced = false;
                job
            }
        };
        jobs.finish(job);
    }
}
