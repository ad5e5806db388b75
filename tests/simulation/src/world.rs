//! Everything together, in simulated time.

mod trouble;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use causeway_rescale::coordinator::{Event, Input, Settings, State};
use causeway_rescale::message::{AtLimit, FromGateway, ToGateway};
use causeway_rescale::{Ordinal, Table, Weight};

use crate::demux::{Deed, Demux};
use crate::driver::Driver;
use crate::gateway::{Gateway, Inner, Item, Packet, Process, Sent};
use crate::laws::Laws;
use crate::link::{Link, MS, Time, US};
use crate::random::Random;
use crate::schedule::{Fault, GATEWAYS, Kind, Schedule};

/// How long after its faults a schedule may take to come to rest.
const TO_REST: Time = 40_000 * MS;
/// How long a worker pauses at most where it pauses. A longer pause is a stop.
const PAUSE: Time = 240 * MS;

/// What happens at some time.
#[derive(Debug)]
enum Happening {
    Emit(usize, u16),
    Leave(usize, Ordinal, Packet),
    AtGateway(usize, usize, Arrival),
    Serve(usize, usize, u64),
    Run(usize, usize, usize, u64),
    AtHost(usize, Packet),
    AtDemux(usize, Input),
    GoOn(usize, u64),
    Wake(usize, u64),
    Wrong(Fault),
    Right(Fault),
    Drive,
}

#[derive(Debug)]
enum Arrival {
    Plain(Packet),
    Request(Box<ToGateway>),
    Tunnel(usize, Inner),
}

/// The earliest is the greatest; what was entered first comes first.
struct Entry {
    at: Time,
    number: u64,
    happening: Happening,
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

/// One VPC.
pub struct Site {
    pub demux: Demux,
    pub gateways: Vec<Gateway>,
    /// Another number after each stop or start of a gateway.
    lives: Vec<u64>,
    to_gateway: Vec<Link>,
    to_demux: Vec<Link>,
    to_host: Vec<Link>,
    /// By gateway and worker.
    tunnels: Vec<Vec<Link>>,
    next: Vec<u32>,
    wake: Time,
}

pub struct World {
    pub now: Time,
    pub schedule: Schedule,
    pub sites: [Site; 2],
    pub laws: Laws,
    random: Random,
    agenda: BinaryHeap<Entry>,
    count: u64,
    driver: Driver,
    log: bool,
}

impl Site {
    fn new(site: usize, schedule: &Schedule, zero: Instant) -> Self {
        let near = || Link::new(schedule.near, schedule.loss);
        let names = (0..schedule.members).map(|pair| (name(site, pair), Weight::ONE));
        let table = Table::new(names).expect("1 to 4 members");
        let disk = State {
            table,
            under_way: None,
        };
        let far = |pair: usize| {
            let link = Link::new(schedule.far[pair][site], schedule.loss);
            vec![link; schedule.workers]
        };
        Self {
            demux: Demux::new(settings(site, schedule), disk),
            gateways: (0..GATEWAYS)
                .map(|_| Gateway::new(schedule.workers, zero))
                .collect(),
            lives: vec![0; GATEWAYS],
            to_gateway: (0..GATEWAYS).map(|_| near()).collect(),
            to_demux: (0..GATEWAYS).map(|_| near()).collect(),
            to_host: (0..GATEWAYS).map(|_| near()).collect(),
            tunnels: (0..GATEWAYS).map(far).collect(),
            next: vec![0; schedule.flows.len()],
            wake: Time::MAX,
        }
    }
}

/// A gateway's name, another one in each VPC.
pub fn name(site: usize, pair: usize) -> String {
    format!("{}{pair}", ["a", "b"][site])
}

fn settings(site: usize, schedule: &Schedule) -> Settings {
    let address = |site: usize| [[10, 1, 0, 9], [10, 2, 0, 9]][site].into();
    let ms = Duration::from_millis;
    Settings {
        peering: "peer".into(),
        own: address(site),
        peer: address(1 - site),
        probe_interval: ms(50),
        dead_after: ms(500),
        idle_time: ms(schedule.idle_ms),
        hold_time: ms(1000),
        at_limit: AtLimit::Drop,
        batch: schedule.batch,
        join_time: ms(10_000),
        fence_time: ms(200),
        standstill: ms(250),
    }
}

impl World {
    pub fn new(schedule: Schedule, log: bool) -> Self {
        let zero = Instant::now();
        let mut world = Self {
            now: 0,
            sites: [0, 1].map(|site| Site::new(site, &schedule, zero)),
            laws: Laws::new(&schedule),
            random: Random::new(schedule.seed ^ 0x5eed),
            agenda: BinaryHeap::new(),
            count: 0,
            driver: Driver::new(&schedule),
            schedule,
            log,
        };
        for site in 0..2 {
            world.sites[site].demux.start(0, &mut world.random);
            world.work(site);
            for flow in 0..world.schedule.flows.len() as u16 {
                let at = 200 * MS + world.random.below(100 * MS);
                world.at(at, Happening::Emit(site, flow));
            }
        }
        for (at, fault) in world.schedule.faults.clone() {
            world.at(at, Happening::Wrong(fault));
        }
        world.at(300 * MS, Happening::Drive);
        world
    }

    /// Plays until all is at rest.
    pub fn play(&mut self) {
        let limit = self.schedule.end + TO_REST;
        let mut look = self.schedule.end + 300 * MS;
        loop {
            if self.now > look {
                look = self.now + 20 * MS;
                if self.is_at_rest() {
                    break;
                }
            }
            let Some(Entry { at, happening, .. }) = self.agenda.pop() else {
                break;
            };
            self.now = at;
            if at > limit {
                self.laws.not_at_rest(&self.sites, self.now);
                return;
            }
            self.happen(happening);
            if self.laws.is_broken() {
                return;
            }
        }
        self.laws.at_rest(&self.schedule, &self.sites);
    }

    fn is_at_rest(&self) -> bool {
        self.driver.is_done() && self.laws.rest(&self.sites)
    }

    fn at(&mut self, time: Time, happening: Happening) {
        self.count += 1;
        self.agenda.push(Entry {
            at: time.max(self.now),
            number: self.count,
            happening,
        });
    }

    fn note(&self, what: impl FnOnce() -> String) {
        if self.log {
            println!("{:>12.6} ms  {}", self.now as f64 / 1e6, what());
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Emit(site, flow) => self.emit(site, flow),
            Happening::Leave(site, to, packet) => {
                let gateway = to.0 as usize;
                let link = &mut self.sites[site].to_gateway[gateway];
                if let Some(at) = link.send(self.now, &mut self.random) {
                    self.at(
                        at,
                        Happening::AtGateway(site, gateway, Arrival::Plain(packet)),
                    );
                }
            }
            Happening::AtGateway(site, gateway, arrival) => self.arrive(site, gateway, arrival),
            Happening::Serve(site, gateway, life) => {
                if self.sites[site].lives[gateway] == life {
                    let now = self.now;
                    self.sites[site].gateways[gateway].serve(now);
                    (0..self.schedule.workers).for_each(|worker| self.rouse(site, gateway, worker));
                }
            }
            Happening::Run(site, gateway, worker, life) => {
                if self.sites[site].lives[gateway] == life {
                    self.run(site, gateway, worker);
                }
            }
            Happening::AtHost(from, packet) => self.laws.delivered(from, packet, self.now),
            Happening::AtDemux(site, input) => {
                self.sites[site].demux.hear(input);
                self.work(site);
            }
            Happening::GoOn(site, life) => {
                if self.sites[site].demux.life == life {
                    self.sites[site].demux.go_on();
                    self.work(site);
                }
            }
            Happening::Wake(site, life) => {
                if self.sites[site].demux.life == life {
                    self.sites[site].wake = Time::MAX;
                    self.sites[site].demux.hear(Input::Tick);
                    self.work(site);
                }
            }
            Happening::Wrong(fault) => self.fail(fault),
            Happening::Right(fault) => self.repair(fault),
            Happening::Drive => self.drive(),
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
                self.at(leaves, Happening::Leave(site, to, packet));
            }
        }
        let pause = self.random.within(about.pause / 4, about.pause * 7 / 4);
        if self.now + pause < self.schedule.end {
            self.at(self.now + pause, Happening::Emit(site, flow));
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
                at.hear(*request);
                if at.process == Process::Runs {
                    let served = self.now + self.random.below(300 * US);
                    self.at(served, Happening::Serve(site, gateway, life));
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
        self.rouse(site, gateway, worker);
    }

    /// Lets a worker run soon that has something to do.
    fn rouse(&mut self, site: usize, gateway: usize, worker: usize) {
        let life = self.sites[site].lives[gateway];
        let at = &mut self.sites[site].gateways[gateway];
        let runs = at.process == Process::Runs;
        let worker_at = &mut at.workers[worker];
        if runs && !worker_at.is_awake && worker_at.has_work() {
            worker_at.is_awake = true;
            worker_at.last_run = self.now;
            let soon = self.now + self.random.below(20 * US);
            self.at(soon, Happening::Run(site, gateway, worker, life));
        }
    }

    fn run(&mut self, site: usize, gateway: usize, worker: usize) {
        let mut sent = Vec::new();
        let at = &mut self.sites[site].gateways[gateway];
        at.run(worker, self.now, &mut sent);
        let answers = at.answers();
        for sent in sent {
            self.send(site, gateway, worker, sent);
        }
        for answer in answers {
            self.answer(site, gateway, answer);
        }
        let life = self.sites[site].lives[gateway];
        let worker_at = &mut self.sites[site].gateways[gateway].workers[worker];
        worker_at.is_awake = worker_at.has_work();
        if worker_at.is_awake {
            let next = match self.random.chance(self.schedule.pauses) {
                true => self.random.below(PAUSE),
                false => self.random.within(5 * US, 200 * US),
            };
            self.at(self.now + next, Happening::Run(site, gateway, worker, life));
        }
    }

    fn send(&mut self, site: usize, gateway: usize, worker: usize, sent: Sent) {
        let (now, random) = (self.now, &mut self.random);
        let here = &mut self.sites[site];
        match sent {
            Sent::Sealed(inner) => {
                if let Some(at) = here.tunnels[gateway][worker].send(now, random) {
                    let arrival = Arrival::Tunnel(worker, inner);
                    self.at(at, Happening::AtGateway(1 - site, gateway, arrival));
                }
            }
            Sent::Opened(Inner::Packet(packet)) => {
                if let Some(at) = here.to_host[gateway].send(now, random) {
                    self.at(at, Happening::AtHost(1 - site, packet));
                }
            }
            Sent::Opened(Inner::Word(word)) => {
                if let Some(at) = here.to_demux[gateway].send(now, random) {
                    self.at(at, Happening::AtDemux(site, Input::FromPeer(word)));
                }
            }
        }
    }

    fn answer(&mut self, site: usize, gateway: usize, answer: FromGateway) {
        let link = &mut self.sites[site].to_demux[gateway];
        if let Some(at) = link.send(self.now, &mut self.random) {
            let input = Input::FromGateway(Ordinal(gateway as u16), answer);
            self.at(at, Happening::AtDemux(site, input));
        }
    }

    /// Lets a demux work off what it has.
    fn work(&mut self, site: usize) {
        let mut deeds = Vec::new();
        let (now, random) = (self.now, &mut self.random);
        let back = self.sites[site].demux.work(now, random, &mut deeds);
        for deed in deeds {
            match deed {
                Deed::Say(to, said) => self.say(site, to, said),
                Deed::Done(result) => {
                    self.note(|| format!("{site} done {result:?}"));
                    self.driver.answered(site, &result, now);
                    self.laws.done(&result);
                }
                Deed::Tell(event) => {
                    if !matches!(event, Event::RoundTrip(..)) {
                        self.note(|| format!("{site} {event:?}"));
                    }
                    self.laws.told(&event);
                }
            }
        }
        let life = self.sites[site].demux.life;
        match back {
            Err(busy) => self.at(busy, Happening::GoOn(site, life)),
            Ok(wake) if wake < self.sites[site].wake => {
                self.sites[site].wake = wake;
                let late = wake.max(now) + self.random.below(200 * US);
                self.at(late, Happening::Wake(site, life));
            }
            Ok(_) => {}
        }
    }

    fn say(&mut self, site: usize, to: Ordinal, said: ToGateway) {
        let gateway = to.0 as usize;
        if gateway >= GATEWAYS {
            return;
        }
        let link = &mut self.sites[site].to_gateway[gateway];
        if let Some(at) = link.send(self.now, &mut self.random) {
            let arrival = Arrival::Request(Box::new(said));
            self.at(at, Happening::AtGateway(site, gateway, arrival));
        }
    }

    fn drive(&mut self) {
        let (now, end) = (self.now, self.schedule.end);
        let tables = [0, 1].map(|site| {
            let coordinator = self.sites[site].demux.coordinator.as_ref()?;
            Some((
                coordinator.table().epoch(),
                coordinator.under_way().is_some(),
            ))
        });
        for site in 0..2 {
            let Some(coordinator) = &self.sites[site].demux.coordinator else {
                continue;
            };
            if self.sites[site].demux.is_frozen {
                // Whoever asks it now waits: it is asked when it goes on.
                continue;
            }
            let table = coordinator.table().clone();
            if let Some(change) = self
                .driver
                .next(site, now, end, tables, &table, &mut self.random)
            {
                self.note(|| format!("{site} {change:?}"));
                self.sites[site].demux.hear(Input::Command {
                    change,
                    address: None,
                });
                self.work(site);
            }
        }
        if let Some(late) = self.driver.is_late(now) {
            self.laws.late(late);
        }
        if !self.driver.is_done() {
            self.at(now + 20 * MS, Happening::Drive);
        }
    }
}

/// Whether the schedule promises that nothing is lost.
pub fn is_lossless(schedule: &Schedule) -> bool {
    schedule.kind == Kind::Calm
}
