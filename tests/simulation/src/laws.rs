//! What must hold, whatever happens.

use std::collections::BTreeMap;

use causeway_rescale::coordinator::{Event, Health, Outcome, Refusal};

use crate::gateway::{Packet, Process};
use crate::link::Time;
use crate::schedule::Schedule;
use crate::world::{Site, is_lossless};

/// What a schedule came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The law that was broken.
    pub broken: Option<String>,
    /// Packets that hosts sent.
    pub sent: u64,
    /// Packets that came to hosts.
    pub delivered: u64,
    /// Changes made, each VPC's counted.
    pub changes: u64,
    /// Buckets that went over while idle.
    pub moved_idle: u64,
    /// Buckets that moved behind a barrier.
    pub moved_by_barrier: u64,
    /// Packets that gateways held.
    pub held: u64,
    /// Pairs that were judged dead.
    pub deaths: u64,
    /// Holds that came to their limit.
    pub expired: u64,
    /// Refused changes, by their reason's name.
    pub refused: BTreeMap<&'static str, u64>,
}

fn kind(why: &Refusal) -> &'static str {
    match why {
        Refusal::Table(_) => "table",
        Refusal::UnderWay { .. } => "under way",
        Refusal::PeerSilent { .. } => "peer silent",
        Refusal::PeerBehind { .. } => "peer behind",
        Refusal::PeerWentElsewhere { .. } => "peer went elsewhere",
        Refusal::TablesDiffer { .. } => "tables differ",
        Refusal::NoWay { .. } => "no way",
        Refusal::NotHeld { .. } => "not held",
    }
}

pub struct Laws {
    pub report: Report,
    /// The last number of each flow that came, by the VPC that sent it.
    last: [Vec<u32>; 2],
}

impl Laws {
    pub fn new(schedule: &Schedule) -> Self {
        let none = || vec![0; schedule.flows.len()];
        Self {
            report: Report::default(),
            last: [none(), none()],
        }
    }

    pub fn is_broken(&self) -> bool {
        self.report.broken.is_some()
    }

    pub fn sent(&mut self) {
        self.report.sent += 1;
    }

    /// Never out of order, never twice.
    pub fn delivered(&mut self, from: usize, packet: Packet, now: Time) {
        self.report.delivered += 1;
        let last = &mut self.last[from][packet.flow as usize];
        if packet.number <= *last {
            let Packet {
                flow,
                number,
                bucket,
            } = packet;
            self.report.broken = Some(format!(
                "order: from VPC {from}, flow {flow}, bucket {bucket}: {number} came after {last} at {:.3} ms",
                now as f64 / 1e6
            ));
        }
        *last = packet.number;
    }

    pub fn done(&mut self, result: &Result<Outcome, Refusal>) {
        match result {
            Ok(outcome) => {
                self.report.changes += 1;
                self.report.held += outcome.held;
            }
            Err(why) => *self.report.refused.entry(kind(why)).or_default() += 1,
        }
    }

    pub fn told(&mut self, event: &Event) {
        let report = &mut self.report;
        match event {
            Event::Moved {
                buckets,
                barrier: true,
                ..
            } => report.moved_by_barrier += *buckets as u64,
            Event::Moved { buckets, .. } => report.moved_idle += *buckets as u64,
            Event::Health(_, Health::Dead) => report.deaths += 1,
            Event::HoldExpired { .. } => report.expired += 1,
            _ => {}
        }
    }

    pub fn late(&mut self, site: usize) {
        self.report.broken = Some(format!("time: VPC {site} has not answered a command"));
    }

    /// Whether nobody is at anything any more.
    pub fn rest(&self, sites: &[Site; 2]) -> bool {
        self.unrest(sites).is_none()
    }

    pub fn not_at_rest(&mut self, sites: &[Site; 2], now: Time) {
        let why = self.unrest(sites).unwrap_or_else(|| "a command".into());
        self.report.broken = Some(format!("rest: still {why} at {:.0} ms", now as f64 / 1e6));
    }

    /// At the end.
    pub fn at_rest(&mut self, schedule: &Schedule, sites: &[Site; 2]) {
        if let Some(why) = self.unrest(sites) {
            self.report.broken = Some(format!("rest: {why}"));
        } else if is_lossless(schedule) && self.report.sent != self.report.delivered {
            let Report {
                sent, delivered, ..
            } = self.report;
            self.report.broken = Some(format!("loss: {delivered} came of {sent}"));
        }
    }

    fn unrest(&self, sites: &[Site; 2]) -> Option<String> {
        let mut tables = Vec::new();
        let mut placed = Vec::new();
        for (site, at) in sites.iter().enumerate() {
            let Some(coordinator) = &at.demux.coordinator else {
                return Some(format!("the demux of VPC {site} is down"));
            };
            if !coordinator.is_quiet() {
                return Some(format!("buckets of VPC {site} move"));
            }
            for (pair, gateway) in at.gateways.iter().enumerate() {
                if gateway.process != Process::Runs {
                    return Some(format!("gateway {site}.{pair} is down"));
                }
                for worker in &gateway.workers {
                    if worker.holds() > 0 {
                        return Some(format!("gateway {site}.{pair} holds"));
                    }
                    if worker.is_fenced()
                        && coordinator
                            .table()
                            .members()
                            .iter()
                            .any(|m| m.ordinal.0 as usize == pair)
                    {
                        return Some(format!("gateway {site}.{pair} is fenced"));
                    }
                }
            }
            let astray = (0..).zip(coordinator.placed()).find(|&(bucket, at_pair)| {
                at.demux
                    .entry(bucket)
                    .is_none_or(|entry| entry.is_moving() || entry.gateway != at_pair.0)
            });
            if let Some((bucket, _)) = astray {
                return Some(format!(
                    "bucket {bucket} of VPC {site} is not where it should be"
                ));
            }
            if let Some(pair) = coordinator.pairs().find(|pair| pair.1 != Health::Up) {
                return Some(format!("pair {} of VPC {site} is {:?}", pair.0.0, pair.1));
            }
            tables.push(coordinator.table().id());
            placed.push(coordinator.placed());
        }
        if tables[0] != tables[1] {
            return Some("the tables differ".into());
        }
        (placed[0] != placed[1]).then(|| "forward and return go by different pairs".into())
    }
}
