//! The laws that every schedule must keep.

use std::collections::BTreeMap;

use causeway_rescale::coordinator::{Event, Health, Outcome, Refusal};

use crate::gateway::{Packet, Process};
use crate::link::Time;
use crate::schedule::Schedule;
use crate::site::Site;

/// The result of a schedule.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The law that was broken.
    pub broken: Option<String>,
    /// Packets that hosts sent.
    pub sent: u64,
    /// Packets that reached hosts.
    pub delivered: u64,
    /// Completed changes, counted in each VPC.
    pub changes: u64,
    /// Buckets that moved while idle.
    pub moved_idle: u64,
    /// Buckets that moved behind a barrier.
    pub moved_by_barrier: u64,
    /// Packets that gateways held.
    pub held: u64,
    /// Pairs that were found dead.
    pub deaths: u64,
    /// Holds that timed out.
    pub expired: u64,
    /// Refused changes, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

fn kind(why: &Refusal) -> &'static str {
    match why {
        Refusal::Table(_) => "table",
        Refusal::UnderWay { .. } => "under way",
        Refusal::PeerSilent { .. } => "peer silent",
        Refusal::PeerBehind { .. } => "peer behind",
        Refusal::PeerDiverged { .. } => "peer diverged",
        Refusal::TablesDiffer { .. } => "tables differ",
        Refusal::PairUnreachable { .. } => "pair unreachable",
        Refusal::HoldNotConfirmed { .. } => "hold not confirmed",
        Refusal::NotStored { .. } => "not stored",
    }
}

pub struct Laws {
    pub report: Report,
    /// The last delivered number of each flow, by the VPC that sent it.
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

    /// Checks that no packet is reordered or duplicated.
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
                "order: from VPC {from}, flow {flow}, bucket {bucket}: packet {number} arrived after {last} at {:.3} ms",
                now as f64 / 1e6
            ));
        }
        *last = packet.number;
    }

    pub fn command_done(&mut self, result: &Result<Outcome, Refusal>) {
        match result {
            Ok(outcome) => {
                self.report.changes += 1;
                self.report.held += outcome.held;
            }
            Err(why) => *self.report.refused.entry(kind(why)).or_default() += 1,
        }
    }

    pub fn record(&mut self, event: &Event) {
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

    pub fn command_late(&mut self, site: usize) {
        self.report.broken = Some(format!("time: VPC {site} has not completed a command"));
    }

    /// Whether nothing is unfinished any more.
    pub fn is_settled(&self, sites: &[Site; 2]) -> bool {
        self.unfinished(sites).is_none()
    }

    pub fn settle_timeout(&mut self, sites: &[Site; 2], now: Time) {
        let why = self
            .unfinished(sites)
            .unwrap_or_else(|| "a command is not done".into());
        self.report.broken = Some(format!("rest: at {:.0} ms {why}", now as f64 / 1e6));
    }

    /// The checks at the end of a schedule.
    pub fn finish(&mut self, schedule: &Schedule, sites: &[Site; 2]) {
        if let Some(why) = self.unfinished(sites) {
            self.report.broken = Some(format!("rest: {why}"));
        } else if schedule.is_lossless() && self.report.sent != self.report.delivered {
            let Report {
                sent, delivered, ..
            } = self.report;
            self.report.broken = Some(format!("loss: {delivered} of {sent} packets arrived"));
        }
    }

    /// The first thing that is not finished, or not equal in both VPCs.
    fn unfinished(&self, sites: &[Site; 2]) -> Option<String> {
        let mut tables = Vec::new();
        let mut placed = Vec::new();
        for (site, at) in sites.iter().enumerate() {
            let Some(coordinator) = &at.demux.coordinator else {
                return Some(format!("the demux of VPC {site} is down"));
            };
            if !coordinator.is_quiet() {
                return Some(format!("buckets of VPC {site} still move"));
            }
            for (pair, gateway) in at.gateways.iter().enumerate() {
                if gateway.process != Process::Runs {
                    return Some(format!("gateway {site}.{pair} is down"));
                }
                for worker in &gateway.workers {
                    if worker.holds() > 0 {
                        return Some(format!("gateway {site}.{pair} still holds packets"));
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
            let misplaced = (0..).zip(coordinator.placed()).find(|&(bucket, at_pair)| {
                at.demux
                    .entry(bucket)
                    .is_none_or(|entry| entry.is_moving() || entry.gateway != at_pair.0)
            });
            if let Some((bucket, _)) = misplaced {
                return Some(format!(
                    "the program of VPC {site} has another pair for bucket {bucket} than the coordinator"
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
        (placed[0] != placed[1]).then(|| "a flow and its replies use different pairs".into())
    }
}
