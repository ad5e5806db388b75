//! The measurements, each a number of turns.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::Args;
use super::cpu::{self, Core, Share};
use super::hosts::{Hosts, Subject, Way};
use super::kernel::{Flood, Kernel};
use crate::engine::workload::Workload;
use crate::spread::Spread;

/// Between turns, for what still stands in rings.
const PAUSE: Duration = Duration::from_millis(30);
/// Before an idle process is looked at, and for how long.
const SETTLE: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(3);

/// Inner packets.
const WORKLOADS: [Workload; 4] = [
    Workload::Size(64),
    Workload::Size(512),
    Workload::Size(1400),
    Workload::Imix,
];
/// What is offered, over what was delivered when all that the load's core can make was offered: enough
/// that the subject has no rest, and not so much that the machine's memory is the load's alone.
const OFFERED: f64 = 1.3;
/// The rates of the ramp, likewise.
const RAMP: [f64; 9] = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0, 10.0];
/// More than any core can make.
const ALL: f64 = 1e9;
/// Packets a second that a turn lasts for, whatever is asked.
const MOST: f64 = 4e6;

/// What one subject did with one workload.
#[derive(Serialize)]
pub struct Cell {
    /// Octets of an inner packet, or `imix`.
    pub size: String,
    /// `forward`, `encrypt` or `decrypt`; `encrypt-other` and `decrypt-other` of the other build.
    pub what: &'static str,
    /// Packets that reached the sink.
    pub mpps: Spread,
    /// Their inner bits.
    pub gbit: Spread,
    /// Packets offered.
    pub offered_mpps: Spread,
    /// mpps over that of the plain forwarder in the same round.
    pub over_forwarder: Spread,
    /// Nanoseconds that the subject's threads have had a core for each of its packets that reached the sink,
    /// softirqs that ran in their place included. Others' work on the core does not count.
    pub cpu_ns: Spread,
    /// The subject's core in the median round.
    pub core: Share,
}

/// System calls of the gateway.
#[derive(Serialize)]
pub struct Calls {
    pub size: String,
    pub what: &'static str,
    /// Of all its threads, over the packets that reached the sink.
    pub per_packet: f64,
}

/// The gateway without traffic.
#[derive(Serialize)]
pub struct Idle {
    /// Time of all its threads over the time that went by, in percent.
    pub core_percent: f64,
}

/// A rate that was offered to the gateway.
#[derive(Serialize)]
pub struct Rung {
    /// Octets of an inner packet.
    pub size: String,
    pub offered_mpps: f64,
    pub delivered_mpps: f64,
    /// System calls of all its threads, over the packets that reached the sink.
    pub calls_per_packet: f64,
    /// The gateway's core.
    pub core: Share,
}

struct Sample {
    delivered: f64,
    offered: f64,
    arrived: u64,
    cpu_ns: f64,
    core: Share,
}

/// Every workload, every subject, in turn.
pub fn figures(args: &Args, hosts: &mut Hosts) -> Result<Vec<Cell>> {
    let turns = turns(args);
    let mut cells = Vec::new();
    for workload in asked(args, WORKLOADS) {
        eprintln!("measuring {workload}");
        let (subject, way) = turns[0];
        let rate = OFFERED * take(args, hosts, subject, way, workload, ALL)?.delivered;
        let mut samples: Vec<Vec<Sample>> = turns.iter().map(|_| Vec::new()).collect();
        for round in 0..args.rounds as usize {
            // Another one begins each time, so that none is always the one behind the same.
            for turn in (0..turns.len()).map(|turn| (turn + round) % turns.len()) {
                let (subject, way) = turns[turn];
                samples[turn].push(take(args, hosts, subject, way, workload, rate)?);
            }
        }
        let plain: Vec<f64> = samples[0].iter().map(|sample| sample.delivered).collect();
        for (&(subject, way), samples) in turns.iter().zip(&samples) {
            cells.push(cell(workload, name(subject, way), samples, &plain));
        }
    }
    Ok(cells)
}

fn asked<const N: usize>(args: &Args, all: [Workload; N]) -> impl Iterator<Item = Workload> {
    let asked =
        |workload: &Workload| args.size.is_empty() || args.size.contains(&workload.to_string());
    all.into_iter().filter(asked)
}

/// What takes turns: the plain forwarder first, then each gateway on both ways.
fn turns(args: &Args) -> Vec<(Subject, Way)> {
    let ways = |subject| match subject {
        Subject::Forwarder => vec![(subject, Way::Encrypt)],
        _ => vec![(subject, Way::Encrypt), (subject, Way::Decrypt)],
    };
    Subject::all(args).into_iter().flat_map(ways).collect()
}

fn name(subject: Subject, way: Way) -> &'static str {
    match (subject, way) {
        (Subject::Forwarder, _) => "forward",
        (Subject::Gateway, Way::Encrypt) => "encrypt",
        (Subject::Gateway, Way::Decrypt) => "decrypt",
        (Subject::Other, Way::Encrypt) => "encrypt-other",
        (Subject::Other, Way::Decrypt) => "decrypt-other",
    }
}

fn cell(workload: Workload, what: &'static str, samples: &[Sample], plain: &[f64]) -> Cell {
    let spread = |figure: &dyn Fn(&Sample) -> f64| Spread::of(samples.iter().map(figure).collect());
    let ratios = samples.iter().zip(plain);
    let ratios = ratios.map(|(sample, plain)| sample.delivered / plain);
    let mut by_rate: Vec<&Sample> = samples.iter().collect();
    by_rate.sort_by(|a, b| a.delivered.total_cmp(&b.delivered));
    Cell {
        size: workload.to_string(),
        what,
        mpps: spread(&|sample| sample.delivered / 1e6),
        gbit: spread(&|sample| sample.delivered * workload.mean_len() * 8.0 / 1e9),
        offered_mpps: spread(&|sample| sample.offered / 1e6),
        over_forwarder: Spread::of(ratios.collect()),
        cpu_ns: spread(&|sample| sample.cpu_ns),
        core: by_rate[by_rate.len() / 2].core,
    }
}

/// Offers ever more to the gateway, up to what the load's core can make.
pub fn ramp(args: &Args, hosts: &mut Hosts) -> Result<Vec<Rung>> {
    let mut counter = Kernel::load(&args.load, 1)?;
    counter.count_calls(hosts.pid(Subject::Gateway)?)?;
    let mut rungs = Vec::new();
    for workload in asked(args, [Workload::Size(64), Workload::Size(1400)]) {
        eprintln!("measuring {workload} with ever more offered");
        let mut offer = |rate| take(args, hosts, Subject::Gateway, Way::Encrypt, workload, rate);
        let whole = offer(ALL)?.delivered;
        for step in RAMP {
            let before = counter.calls()?;
            let sample = offer(whole * step)?;
            let calls = counter.calls()? - before;
            rungs.push(Rung {
                size: workload.to_string(),
                offered_mpps: sample.offered / 1e6,
                delivered_mpps: sample.delivered / 1e6,
                calls_per_packet: calls as f64 / sample.arrived as f64,
                core: sample.core,
            });
        }
    }
    Ok(rungs)
}

/// Counts the system calls of the gateway: in turns of their own, since counting slows it down.
pub fn calls(args: &Args, hosts: &mut Hosts) -> Result<Vec<Calls>> {
    eprintln!("counting system calls");
    let mut counter = Kernel::load(&args.load, 1)?;
    counter.count_calls(hosts.pid(Subject::Gateway)?)?;
    let mut calls = Vec::new();
    for workload in asked(args, WORKLOADS) {
        for way in [Way::Encrypt, Way::Decrypt] {
            let before = counter.calls()?;
            let sample = take(args, hosts, Subject::Gateway, way, workload, ALL)?;
            calls.push(Calls {
                size: workload.to_string(),
                what: name(Subject::Gateway, way),
                per_packet: (counter.calls()? - before) as f64 / sample.arrived as f64,
            });
        }
    }
    Ok(calls)
}

/// What the gateway costs while nothing comes.
pub fn idle(hosts: &Hosts) -> Result<Idle> {
    thread::sleep(SETTLE);
    let (used, began) = (cpu::used(hosts.pid(Subject::Gateway)?)?, Instant::now());
    thread::sleep(IDLE);
    let used = cpu::used(hosts.pid(Subject::Gateway)?)? - used;
    Ok(Idle {
        core_percent: 100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64(),
    })
}

/// One turn, at `rate` packets a second or as many as can be made.
fn take(
    args: &Args,
    hosts: &mut Hosts,
    subject: Subject,
    way: Way,
    workload: Workload,
    rate: f64,
) -> Result<Sample> {
    // A forwarder does not tell sealed packets from others.
    let (packets, most) = hosts.put(subject, workload, way)?;
    let count = rate.min(MOST) * args.window as f64 / 1000.0;
    let flood = Flood {
        packets,
        count: (count as u32).min(most),
        rate: rate as u64,
        batch: args.batch,
    };
    let pid = hosts.pid(subject)?;
    let (before, used) = (Core::read(args.core)?, cpu::used(pid)?);
    let flooded = hosts.flood(subject, flood)?;
    let core = Core::read(args.core)?.since(before);
    thread::sleep(PAUSE);
    let used = cpu::used(pid)? - used;
    Ok(Sample {
        delivered: flooded.delivered,
        offered: flooded.offered,
        arrived: flooded.arrived,
        cpu_ns: used.as_nanos() as f64 / flooded.arrived as f64,
        core,
    })
}
