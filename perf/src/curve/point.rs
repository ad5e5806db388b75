//! One point of a curve: all runs with one number of gateways.

use std::collections::BTreeMap;

use anyhow::Result;
use causeway_lab::Lab;
use causeway_lab::measure::direction::Directions;
use causeway_lab::measure::flood::{self, Size};
use causeway_lab::measure::iperf::Load;
use causeway_lab::measure::transfer::{self, Transfer};
use causeway_lab::measure::window::WindowSamples;

use super::document::{Caps, Point, Udp};
use super::goodput::Goodput;
use super::plan::{Args, Direction};
use super::reference::Reference;
use crate::spread::Spread;

/// UDP flows per direction: enough that every gateway carries some.
const FLOWS: u16 = 256;
/// A fixed algorithm makes machines comparable. The kernel's default may differ, and may pace by timers.
const CONGESTION: &str = "cubic";
/// The counter of packets that the queue of a limit dropped.
const LIMIT: &str = "limit";

/// The load of a run.
pub fn load(args: &Args) -> transfer::Plan {
    transfer::Plan {
        tcp: Load {
            streams: args.streams,
            duration: args.duration,
            warm_up: args.warm_up,
            congestion: Some(CONGESTION),
            window: None,
        },
        udp: flood::Plan {
            flows: FLOWS,
            busy_flows: FLOWS / 2,
            rate: args.udp_rate,
            size: args.udp_size,
            directions: match args.direction {
                Direction::OneWay => Directions::There,
                Direction::Both => Directions::Both,
            },
        },
    }
}

/// Measures a point, under limits if `caps` gives any. Calls `finished` after every run.
pub fn measure(
    lab: &Lab,
    args: &Args,
    caps: Option<&Caps>,
    mut finished: impl FnMut(&Transfer),
) -> Result<Point> {
    let goodput = Goodput::of(lab.options(), args.direction);
    let limited = caps
        .map(|caps| lab.limit(goodput.limits(caps)))
        .transpose()?;
    let plan = load(args);
    let mut runs = Vec::new();
    for _ in 0..args.repeat {
        let run = transfer::run(lab, &plan)?;
        finished(&run);
        runs.push(run);
    }
    let limit_drops = limited.map_or(Ok(0), |limited| limited.dropped())?;
    let ideal = caps
        .map(|caps| goodput.ideal_mbit(caps, lab.options().gateways, args.udp_size, args.udp_rate));
    let reference = Reference::row(args.path, args.direction);
    Ok(summary(
        &runs,
        lab.options().gateways,
        (ideal, limit_drops),
        &reference,
        args.udp_size,
    ))
}

fn summary(
    runs: &[Transfer],
    gateways: u8,
    (ideal, limit_drops): (Option<f64>, u64),
    reference: &Reference,
    size: Size,
) -> Point {
    let tcp = Spread::of(runs.iter().map(tcp_mbit).collect());
    let mut udp = WindowSamples::default();
    let mut carried = vec![0; gateways.into()];
    let mut drops = BTreeMap::new();
    let mut time: BTreeMap<String, f64> = BTreeMap::new();
    for run in runs {
        udp.add(&run.udp);
        for (sum, bytes) in carried.iter_mut().zip(&run.carried) {
            *sum += bytes;
        }
        for (reason, packets) in &run.drops {
            *drops.entry(reason.clone()).or_default() += packets;
        }
        for (what, part) in &run.time {
            *time.entry(what.clone()).or_default() += part / runs.len() as f64;
        }
    }
    if limit_drops > 0 {
        drops.insert(LIMIT.to_owned(), limit_drops);
    }
    let total_bytes = carried.iter().sum::<u64>().max(1) as f64;
    Point {
        gateways,
        ideal_mbit: ideal,
        efficiency: ideal.map(|ideal| tcp.median / ideal),
        tcp_mbit: tcp,
        reference_mbit: reference.mbit(gateways),
        reference_efficiency: reference.efficiency(gateways),
        cut_off: runs
            .iter()
            .map(|run| u32::from(run.tcp.total.cut_off))
            .sum(),
        retransmits: runs.iter().map(|run| run.tcp.total.retransmits).sum(),
        udp: udp_figures(&udp, size),
        shares: carried
            .iter()
            .map(|bytes| *bytes as f64 / total_bytes)
            .collect(),
        drops,
        time,
    }
}

/// TCP goodput of a run over both directions.
pub fn tcp_mbit(run: &Transfer) -> f64 {
    run.tcp.total.gbit_per_s * 1e3
}

/// The size as written on the command line.
pub fn size_name(size: Size) -> String {
    match size {
        Size::Fixed(octets) => octets.to_string(),
        Size::Imix => "imix".to_owned(),
    }
}

fn udp_figures(udp: &WindowSamples, size: Size) -> Udp {
    Udp {
        size: size_name(size),
        sent: udp.sent,
        lost: udp.lost,
        reordered: udp.reordered,
        duplicated: udp.duplicated,
        p50_us: udp.quantile_us(0.5),
        p90_us: udp.quantile_us(0.9),
        p99_us: udp.quantile_us(0.99),
        p999_us: udp.quantile_us(0.999),
        max_us: udp.quantile_us(1.0),
    }
}
