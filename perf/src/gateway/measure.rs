//! The measurements. Each consists of turns.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::args::Args;
use super::cpu::{self, Core, Share};
use super::hosts::{Direction, Hosts, Subject};
use super::kernel::{Flood, Kernel};
use crate::engine::workload::Workload;
use crate::spread::Spread;

/// Pause between turns, in which the rings drain.
const PAUSE: Duration = Duration::from_millis(30);
/// Pause before an idle process is measured, and length of that measurement.
const SETTLE: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(3);

const WORKLOADS: [Workload; 4] = [
    Workload::Size(64),
    Workload::Size(512),
    Workload::Size(1400),
    Workload::Imix,
];
/// The offered rate over the rate that the subject delivers at the maximum load. The subject is always busy,
/// but the load does not use all memory bandwidth of the machine.
const OFFERED: f64 = 1.3;
/// The offered rates of the ramp, over the same rate.
const RAMP: [f64; 9] = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0, 10.0];
/// A rate above the capacity of any core.
const UNLIMITED: f64 = 1e9;
/// Upper bound of the rate from which the number of packets of a turn is computed.
const MAX_RATE: f64 = 4e6;

/// The figures of one subject with one workload.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "GatewayFigure"))]
pub struct Cell {
    /// Size of the inner packet in bytes, or `imix`.
    pub size: String,
    /// `forward`, `encrypt` or `decrypt`; `encrypt-other` or `decrypt-other` for the other build.
    pub what: &'static str,
    /// Packets that reached the sink, in million packets per second.
    pub mpps: Spread,
    /// Inner bits of these packets, in Gbit/s.
    pub gbit: Spread,
    /// Packets offered, in million packets per second.
    pub offered_mpps: Spread,
    /// `mpps` over that of the plain forwarder in the same round.
    pub over_forwarder: Spread,
    /// CPU time of the subject's threads per packet that reached the sink, in nanoseconds. Softirqs that
    /// interrupted these threads count; other processes do not.
    pub cpu_ns: Spread,
    /// Time of the subject's core in the median round.
    pub core: Share,
}

/// The gateway's system calls with one workload.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Calls {
    /// Size of the inner packet in bytes, or `imix`.
    pub size: String,
    /// `encrypt` or `decrypt`.
    pub what: &'static str,
    /// System calls of all threads over the packets that reached the sink.
    pub per_packet: f64,
}

/// The gateway without traffic.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Idle {
    /// CPU time of all threads over the elapsed time, in percent.
    pub core_percent: f64,
}

/// One offered rate of the ramp.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RampStep {
    /// Size of the inner packet in bytes.
    pub size: String,
    /// Packets offered, in million packets per second.
    pub offered_mpps: f64,
    /// Packets that reached the sink, in million packets per second.
    pub delivered_mpps: f64,
    /// System calls of all threads over the packets that reached the sink.
    pub calls_per_packet: f64,
    /// Time of the gateway's core.
    pub core: Share,
}

struct Sample {
    delivered: f64,
    offered: f64,
    arrived: u64,
    cpu_ns: f64,
    core: Share,
}

/// Measures every subject with every workload, in turns.
pub fn figures(args: &Args, hosts: &mut Hosts) -> Result<Vec<Cell>> {
    let turns = turns(args);
    let mut cells = Vec::new();
    for workload in selected(args, WORKLOADS) {
        eprintln!("measuring {workload}");
        let (subject, direction) = turns[0];
        let rate =
            OFFERED * run_turn(args, hosts, subject, direction, workload, UNLIMITED)?.delivered;
        let mut samples: Vec<Vec<Sample>> = turns.iter().map(|_| Vec::new()).collect();
        for round in 0..args.rounds as usize {
            // Each round starts with another subject, so that none always follows the same one.
            for turn in (0..turns.len()).map(|turn| (turn + round) % turns.len()) {
                let (subject, direction) = turns[turn];
                samples[turn].push(run_turn(args, hosts, subject, direction, workload, rate)?);
            }
        }
        let plain: Vec<f64> = samples[0].iter().map(|sample| sample.delivered).collect();
        for (&(subject, direction), samples) in turns.iter().zip(&samples) {
            cells.push(cell(workload, name(subject, direction), samples, &plain));
        }
    }
    Ok(cells)
}

fn selected<const N: usize>(args: &Args, all: [Workload; N]) -> impl Iterator<Item = Workload> {
    let selected =
        |workload: &Workload| args.size.is_empty() || args.size.contains(&workload.to_string());
    all.into_iter().filter(selected)
}

/// The turns of a round: the plain forwarder first, then each gateway in both directions.
fn turns(args: &Args) -> Vec<(Subject, Direction)> {
    let ways = |subject| match subject {
        Subject::Forwarder => vec![(subject, Direction::Encrypt)],
        _ => vec![(subject, Direction::Encrypt), (subject, Direction::Decrypt)],
    };
    Subject::all(args).into_iter().flat_map(ways).collect()
}

fn name(subject: Subject, direction: Direction) -> &'static str {
    match (subject, direction) {
        (Subject::Forwarder, _) => "forward",
        (Subject::Gateway, Direction::Encrypt) => "encrypt",
        (Subject::Gateway, Direction::Decrypt) => "decrypt",
        (Subject::OtherBuild, Direction::Encrypt) => "encrypt-other",
        (Subject::OtherBuild, Direction::Decrypt) => "decrypt-other",
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

/// Measures the gateway under increasing rates, up to the capacity of the load's core.
pub fn ramp(args: &Args, hosts: &mut Hosts) -> Result<Vec<RampStep>> {
    let mut counter = Kernel::load(&args.load, 1)?;
    counter.count_calls(hosts.pid(Subject::Gateway)?)?;
    let mut steps = Vec::new();
    for workload in selected(args, [Workload::Size(64), Workload::Size(1400)]) {
        eprintln!("measuring {workload} at increasing rates");
        let mut run_at = |rate| {
            run_turn(
                args,
                hosts,
                Subject::Gateway,
                Direction::Encrypt,
                workload,
                rate,
            )
        };
        let peak = run_at(UNLIMITED)?.delivered;
        for factor in RAMP {
            let before = counter.calls()?;
            let sample = run_at(peak * factor)?;
            let calls = counter.calls()? - before;
            steps.push(RampStep {
                size: workload.to_string(),
                offered_mpps: sample.offered / 1e6,
                delivered_mpps: sample.delivered / 1e6,
                calls_per_packet: calls as f64 / sample.arrived as f64,
                core: sample.core,
            });
        }
    }
    Ok(steps)
}

/// Counts the gateway's system calls. Counting slows the gateway down, so these turns count for nothing else.
pub fn calls(args: &Args, hosts: &mut Hosts) -> Result<Vec<Calls>> {
    eprintln!("counting system calls");
    let mut counter = Kernel::load(&args.load, 1)?;
    counter.count_calls(hosts.pid(Subject::Gateway)?)?;
    let mut calls = Vec::new();
    for workload in selected(args, WORKLOADS) {
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let before = counter.calls()?;
            let sample = run_turn(
                args,
                hosts,
                Subject::Gateway,
                direction,
                workload,
                UNLIMITED,
            )?;
            calls.push(Calls {
                size: workload.to_string(),
                what: name(Subject::Gateway, direction),
                per_packet: (counter.calls()? - before) as f64 / sample.arrived as f64,
            });
        }
    }
    Ok(calls)
}

/// Measures the CPU time of the gateway without traffic.
pub fn idle(hosts: &Hosts) -> Result<Idle> {
    thread::sleep(SETTLE);
    let (used, began) = (cpu::used(hosts.pid(Subject::Gateway)?)?, Instant::now());
    thread::sleep(IDLE);
    let used = cpu::used(hosts.pid(Subject::Gateway)?)? - used;
    Ok(Idle {
        core_percent: 100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64(),
    })
}

/// Runs one turn at `rate` packets per second, or at the capacity of the load's core if that is lower.
fn run_turn(
    args: &Args,
    hosts: &mut Hosts,
    subject: Subject,
    direction: Direction,
    workload: Workload,
    rate: f64,
) -> Result<Sample> {
    let (packets, max_count) = hosts.prepare(subject, workload, direction)?;
    let count = rate.min(MAX_RATE) * args.window as f64 / 1000.0;
    let flood = Flood {
        packets,
        count: (count as u32).min(max_count),
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
