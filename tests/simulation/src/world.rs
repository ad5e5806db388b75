//! The event loop over both VPCs, in simulated time.

mod faults;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use causeway_rescale::Ordinal;
use causeway_rescale::coordinator::{Event, Input};
use causeway_rescale::message::{FromGateway, ToGateway};

use crate::demux::Action;
use crate::driver::Driver;
use crate::gateway::{Inner, Item, Packet, Process, Sent};
use crate::laws::Laws;
use crate::link::{MS, Time, US};
use crate::random::Random;
use crate::schedule::{Fault, GATEWAYS, Schedule};
use crate::site::Site;

/// The time within which everything must be settled after the end of the schedule.
const SETTLE_TIME: Time = 40_000 * MS;
/// The longest pause of a worker. A longer pause would count as a stall.
const PAUSE: Time = 240 * MS;

/// An event of the simulation.
#[derive(Debug)]
enum SimEvent {
    Emit(usize, u16),
    Leave(usize, Ordinal, Packet),
    AtGateway(usize, usize, Arrival),
    ProcessRequests(usize, usize, u64),
    Run(usize, usize, usize, u64),
    AtHost(usize, Packet),
    AtDemux(usize, Input),
    DemuxIdle(usize, u64),
    Wake(usize, u64),
    FaultBegins(Fault),
    FaultEnds(Fault),
    Drive,
}

#[derive(Debug)]
enum Arrival {
    Plain(Packet),
    Request(Box<ToGateway>),
    Tunnel(usize, Inner),
}

/// A scheduled event. The greatest entry is the earliest one; of equal times, the one scheduled first.
struct Entry {
    at: Time,
    number: u64,
    event: SimEvent,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

pub struct World {
    pub now: Time,
    pub schedule: Schedule,
    pub sites: [Site; 2],
    pub laws: Laws,
    random: Random,
    events: BinaryHeap<Entry>,
    count: u64,
    driver: Driver,
    log: bool,
}

impl World {
    pub fn new(schedule: Schedule, log: bool) -> Self {
        let zero = Instant::now();
        let mut world = Self {
            now: 0,
            sites: [0, 1].map(|site| Site::new(site, &schedule, zero)),
            laws: Laws::new(&schedule),
            random: Random::new(schedule.seed ^ 0x5eed),
            events: BinaryHeap::new(),
            count: 0,
            driver: Driver::new(&schedule),
            schedule,
            log,
        };
        for site in 0..2 {
            world.sites[site].demux.start(0, &mut world.random);
            world.run_demux(site);
            for flow in 0..world.schedule.flows.len() as u16 {
                let at = 200 * MS + world.random.below(100 * MS);
                world.add_event(at, SimEvent::Emit(site, flow));
            }
        }
        for (at, fault) in world.schedule.faults.clone() {
            world.add_event(at, SimEvent::FaultBegins(fault));
        }
        world.add_event(300 * MS, SimEvent::Drive);
        world
    }

    /// Runs until everything is settled or a law is broken.
    pub fn play(&mut self) {
        let limit = self.schedule.end + SETTLE_TIME;
        let mut next_check = self.schedule.end + 300 * MS;
        loop {
            if self.now > next_check {
                next_check = self.now + 20 * MS;
                if self.is_settled() {
                    break;
                }
            }
            let Some(Entry { at, event, .. }) = self.events.pop() else {
                break;
            };
            self.now = at;
            if at > limit {
                self.laws.settle_timeout(&self.sites, self.now);
                return;
            }
            self.process(event);
            if self.laws.is_broken() {
                return;
            }
        }
        self.laws.finish(&self.schedule, &self.sites);
    }

    fn is_settled(&self) -> bool {
        self.driver.is_done() && self.laws.is_settled(&self.sites)
    }

    fn add_event(&mut self, time: Time, event: SimEvent) {
        self.count += 1;
        self.events.push(Entry {
            at: time.max(self.now),
            number: self.count,
            event,
        });
    }

    fn print_log(&self, line: impl FnOnce() -> String) {
        if self.log {
            println!("{:>12.6} ms  {}", self.now as f64 / 1e6, line());
        }
    }

    fn process(&mut self, event: SimEvent) {
        match event {
            SimEvent::Emit(site, flow) => self.emit(site, flow),
            SimEvent::Leave(site, to, packet) => {
                let gateway = to.0 as usize;
                let link = &mut self.sites[site].to_gateway[gateway];
                if let Some(at) = link.send(self.now, &mut self.random) {
                    self.add_event(
                        at,
                        SimEvent::AtGateway(site, gateway, Arrival::Plain(packet)),
                    );
                }
            }
            SimEvent::AtGateway(site, gateway, arrival) => self.arrive(site, gateway, arrival),
            SimEvent::ProcessRequests(site, gateway, life) => {
                if self.sites[site].lives[gateway] == life {
                    let now = self.now;
                    self.sites[site].gateways[gateway].process_requests(now);
                    (0..self.schedule.workers)
                        .for_each(|worker| self.wake_worker(site, gateway, worker));
                }
            }
            SimEvent::Run(site, gateway, worker, life) => {
                if self.sites[site].lives[gateway] == life {
                    self.run(site, gateway, worker);
                }
            }
            SimEvent::AtHost(from, packet) => self.laws.delivered(from, packet, self.now),
            SimEvent::AtDemux(site, input) => {
                self.sites[site].demux.receive(input);
                self.run_demux(site);
            }
            SimEvent::DemuxIdle(site, life) => {
                if self.sites[site].demux.life == life {
                    self.sites[site].demux.set_idle();
                    self.run_demux(site);
                }
            }
            SimEvent::Wake(site, life) => {
                if self.sites[site].demux.life == life {
                    self.sites[site].wake = Time::MAX;
                    self.sites[site].demux.receive(Input::Tick);
                    self.run_demux(site);
                }
            }
            SimEvent::FaultBegins(fault) => self.begin_fault(fault),
            SimEvent::FaultEnds(fault) => self.end_fault(fault),
            SimEvent::Drive => self.drive(),
        }
    }

    fn emit(&mut self, site: usize, flow: u16) {
        let about = self.schedule.flows[flow as usize];
        for _ in 0..about.burst {
            let next = &mut self.sites[site].next[flow as usize];
            *next += 1;
            let packet = Packet {
                flow,
                number: *next,
                bucket: about.bucket,
            };
            self.laws.sent();
            let steered = self.sites[site]
                .demux
                .steer(about.bucket, self.now, &mut self.random);
            if let Some((to, leaves)) = steered {
                self.add_event(leaves, SimEvent::Leave(site, to, packet));
            }
        }
        let pause = self.random.within(about.pause / 4, about.pause * 7 / 4);
        if self.now + pause < self.schedule.end {
            self.add_event(self.now + pause, SimEvent::Emit(site, flow));
        }
    }

    fn arrive(&mut self, site: usize, gateway: usize, arrival: Arrival) {
        let workers = self.schedule.workers;
        let life = self.sites[site].lives[gateway];
        let at = &mut self.sites[site].gateways[gateway];
        if at.process == Process::Dead {
            return;
        }
        let worker = match arrival {
            Arrival::Request(request) => {
                at.receive(*request);
                if at.process == Process::Runs {
                    let served = self.now + self.random.below(300 * US);
                    self.add_event(served, SimEvent::ProcessRequests(site, gateway, life));
                }
                return;
            }
            Arrival::Plain(packet) => {
                let worker = packet.flow as usize % workers;
                at.workers[worker].push(Item::Seal(packet));
                worker
            }
            Arrival::Tunnel(worker, inner) => {
                at.workers[worker].push(Item::Open(inner));
                worker
            }
        };
        self.wake_worker(site, gateway, worker);
    }

    /// Schedules a run of a worker that has work and is not scheduled yet.
    fn wake_worker(&mut self, site: usize, gateway: usize, worker: usize) {
        let life = self.sites[site].lives[gateway];
        let at = &mut self.sites[site].gateways[gateway];
        let runs = at.process == Process::Runs;
        let worker_at = &mut at.workers[worker];
        if runs && !worker_at.is_awake && worker_at.has_work() {
            worker_at.is_awake = true;
            worker_at.last_run = self.now;
            let soon = self.now + self.random.below(20 * US);
            self.add_event(soon, SimEvent::Run(site, gateway, worker, life));
        }
    }

    fn run(&mut self, site: usize, gateway: usize, worker: usize) {
        let mut sent = Vec::new();
        let at = &mut self.sites[site].gateways[gateway];
        at.run(worker, self.now, &mut sent);
        let replies = at.take_replies();
        for sent in sent {
            self.send(site, gateway, worker, sent);
        }
        for reply in replies {
            self.send_reply(site, gateway, reply);
        }
        let life = self.sites[site].lives[gateway];
        let worker_at = &mut self.sites[site].gateways[gateway].workers[worker];
        worker_at.is_awake = worker_at.has_work();
        if worker_at.is_awake {
            let next = match self.random.chance(self.schedule.pauses) {
                true => self.random.below(PAUSE),
                false => self.random.within(5 * US, 200 * US),
            };
            self.add_event(self.now + next, SimEvent::Run(site, gateway, worker, life));
        }
    }

    fn send(&mut self, site: usize, gateway: usize, worker: usize, sent: Sent) {
        let (now, random) = (self.now, &mut self.random);
        let here = &mut self.sites[site];
        match sent {
            Sent::Sealed(inner) => {
                if let Some(at) = here.tunnels[gateway][worker].send(now, random) {
                    let arrival = Arrival::Tunnel(worker, inner);
                    self.add_event(at, SimEvent::AtGateway(1 - site, gateway, arrival));
                }
            }
            Sent::Opened(Inner::Packet(packet)) => {
                if let Some(at) = here.to_host[gateway].send(now, random) {
                    self.add_event(at, SimEvent::AtHost(1 - site, packet));
                }
            }
            Sent::Opened(Inner::ControlMessage(message)) => {
                if let Some(at) = here.to_demux[gateway].send(now, random) {
                    self.add_event(at, SimEvent::AtDemux(site, Input::FromPeer(message)));
                }
            }
        }
    }

    fn send_reply(&mut self, site: usize, gateway: usize, reply: FromGateway) {
        let link = &mut self.sites[site].to_demux[gateway];
        if let Some(at) = link.send(self.now, &mut self.random) {
            let input = Input::FromGateway(Ordinal(gateway as u16), reply);
            self.add_event(at, SimEvent::AtDemux(site, input));
        }
    }

    /// Runs a demux until it waits for an input or is busy.
    fn run_demux(&mut self, site: usize) {
        let mut actions = Vec::new();
        let (now, random) = (self.now, &mut self.random);
        let next = self.sites[site].demux.run(now, random, &mut actions);
        for action in actions {
            match action {
                Action::Send(to, message) => self.send_request(site, to, message),
                Action::Done(result) => {
                    self.print_log(|| format!("{site} done {result:?}"));
                    self.driver.answered(site, &result, now);
                    self.laws.command_done(&result);
                }
                Action::Log(event) => {
                    if !matches!(event, Event::RoundTrip(..)) {
                        self.print_log(|| format!("{site} {event:?}"));
                    }
                    self.laws.record(&event);
                }
            }
        }
        let life = self.sites[site].demux.life;
        match next {
            Err(busy) => self.add_event(busy, SimEvent::DemuxIdle(site, life)),
            Ok(wake) if wake < self.sites[site].wake => {
                self.sites[site].wake = wake;
                let late = wake.max(now) + self.random.below(200 * US);
                self.add_event(late, SimEvent::Wake(site, life));
            }
            Ok(_) => {}
        }
    }

    fn send_request(&mut self, site: usize, to: Ordinal, request: ToGateway) {
        let gateway = to.0 as usize;
        if gateway >= GATEWAYS {
            return;
        }
        let link = &mut self.sites[site].to_gateway[gateway];
        if let Some(at) = link.send(self.now, &mut self.random) {
            let arrival = Arrival::Request(Box::new(request));
            self.add_event(at, SimEvent::AtGateway(site, gateway, arrival));
        }
    }

    fn drive(&mut self) {
        let (now, end) = (self.now, self.schedule.end);
        for site in 0..2 {
            // Again for each site: the other one may just have got a command.
            let tables = [0, 1].map(|site| self.sites[site].demux.epoch());
            let Some(coordinator) = &self.sites[site].demux.coordinator else {
                continue;
            };
            if self.sites[site].demux.is_frozen {
                // A frozen demux would take the command only when it continues.
                continue;
            }
            let table = coordinator.table().clone();
            if let Some(change) = self
                .driver
                .next(site, now, end, tables, &table, &mut self.random)
            {
                self.print_log(|| format!("{site} {change:?}"));
                self.sites[site].demux.receive(Input::Command {
                    change,
                    address: None,
                });
                self.run_demux(site);
            }
        }
        if let Some(site) = self.driver.late_site(now) {
            self.laws.command_late(site);
        }
        if !self.driver.is_done() {
            self.add_event(now + 20 * MS, SimEvent::Drive);
        }
    }
}
