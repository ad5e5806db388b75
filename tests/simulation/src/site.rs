//! One VPC of the simulation: a demux, gateways and links.

use std::time::{Duration, Instant};

use causeway_rescale::coordinator::{Settings, State};
use causeway_rescale::message::HoldTimeoutAction;
use causeway_rescale::{Table, Weight};

use crate::demux::Demux;
use crate::disk::Disk;
use crate::gateway::Gateway;
use crate::link::{Link, Time};
use crate::schedule::{GATEWAYS, Schedule};

/// One VPC.
pub struct Site {
    pub demux: Demux,
    pub gateways: Vec<Gateway>,
    /// For each gateway a number that changes with each start and stop, so that earlier events are
    /// ignored.
    pub lives: Vec<u64>,
    pub to_gateway: Vec<Link>,
    pub to_demux: Vec<Link>,
    pub to_host: Vec<Link>,
    /// The tunnels by gateway and worker.
    pub tunnels: Vec<Vec<Link>>,
    /// The next packet's number of each flow, minus one.
    pub next: Vec<u32>,
    /// The earliest scheduled wake-up of the demux.
    pub wake: Time,
}

impl Site {
    pub fn new(site: usize, schedule: &Schedule, zero: Instant) -> Self {
        let near = || Link::new(schedule.near, schedule.loss);
        let names = (0..schedule.members).map(|pair| (name(site, pair), Weight::ONE));
        let table = Table::new(names).expect("1 to 4 members");
        let disk = State {
            table,
            under_way: None,
        };
        // Other numbers than those of the schedule and of the world.
        let disk = Disk::new(disk, schedule.seed ^ 0xd15c << (8 * (1 + site)));
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

/// A gateway's name, which differs between the VPCs.
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
        hold_timeout_action: HoldTimeoutAction::Drop,
        batch: schedule.batch,
        join_time: ms(10_000),
        fence_time: ms(200),
        stall_after: ms(250),
    }
}
