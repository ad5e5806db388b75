//! `perf curve`: throughput against the number of gateways, through the whole lab.

mod csv;
pub mod document;
mod goodput;
mod html;
mod plan;
mod point;
mod progress;
mod reference;
mod scale;
mod table;

use std::fs;
use std::path::Path as FilePath;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use causeway_lab::measure::transfer;
use causeway_lab::output::print;
use causeway_lab::{Encapsulation, Inner, Lab, Options};

use self::document::{Caps, Document, Failure, Plan, Point, Series, VERSION};
use self::goodput::Goodput;
pub use self::plan::Args;
use self::plan::{Mode, Path, name};
use self::progress::Progress;
use self::reference::Reference;
use crate::goal::Goal;
use crate::machine::{self, Machine};

/// The goal: TCP reaches at least this part of the ideal.
const EFFICIENCY_GOAL: f64 = 0.95;
/// The one-way delay of the Internet path: the distance of neighbouring regions.
const INTERNET_DELAY: Duration = Duration::from_millis(5);
/// Duration of the run that finds the scale, in seconds.
const TRIAL: u32 = 3;
/// Expected seconds: for a lab, for each gateway in addition, and for a run beyond its own duration.
const LAB_SECONDS: f64 = 1.0;
const GATEWAY_SECONDS: f64 = 0.6;
const RUN_OVERHEAD_SECONDS: f64 = 1.0;

/// Measures, prints the report and writes the documents.
pub fn run(args: &Args) -> Result<()> {
    let modes = match args.mode {
        Mode::Capped => vec![Mode::Capped],
        Mode::Uncapped => vec![Mode::Uncapped],
        Mode::Both => vec![Mode::Capped, Mode::Uncapped],
    };
    let mut progress = Progress::new(expected_seconds(args, modes.len()));
    let began = SystemTime::now();
    let load = machine::load();
    let mut curves = Vec::new();
    for mode in modes {
        let caps = match mode {
            Mode::Capped => Some(caps(args, &mut progress)?),
            _ => None,
        };
        curves.push(Series {
            mode: name(mode),
            caps,
            points: Vec::new(),
            failures: Vec::new(),
        });
    }
    let mut document = Document {
        version: VERSION,
        machine: Machine::this(),
        commit: machine::commit(),
        began: humantime::format_rfc3339_seconds(began).to_string(),
        load: [load, None],
        plan: plan(args),
        curves,
        goals: Vec::new(),
    };
    for &gateways in &args.gateways.0 {
        measure_point(args, gateways, &mut document.curves, &mut progress);
        document.load[1] = machine::load();
        document.goals = goals(&document);
        // The files are written after each point, so that an interrupted measurement keeps its results.
        if let Some(folder) = &args.out {
            write(&document, folder)?;
        }
    }
    print(table::text(&document))?;
    Ok(())
}

/// Measures one number of gateways for every curve. A failure is recorded in its curve.
fn measure_point(args: &Args, gateways: u8, curves: &mut [Series], progress: &mut Progress) {
    let label = document::gateways(gateways);
    progress.report(&format!("{label}: setting up two VPCs"));
    let lab = start_lab(args, gateways);
    progress.done(lab_seconds(gateways));
    for series in curves {
        let measured = match &lab {
            Ok(lab) => point::measure(lab, args, series.caps.as_ref(), |run| {
                progress.done(run_seconds(args));
                progress.report(&format!(
                    "{label}, {}: {:.1} Mbit/s",
                    series.mode,
                    point::tcp_mbit(run)
                ));
            }),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        match measured {
            Ok(point) => series.points.push(point),
            Err(error) => {
                let error = format!("{error:#}");
                progress.report(&format!("{label}, {}: {error}", series.mode));
                series.failures.push(Failure { gateways, error });
            }
        }
    }
}

fn start_lab(args: &Args, gateways: u8) -> Result<Lab> {
    let mut lab = Lab::new(options(args, gateways))?;
    lab.start_roles()?;
    Ok(lab)
}

fn options(args: &Args, gateways: u8) -> Options {
    Options {
        gateways,
        placement: args.placement,
        cipher: args.cipher,
        encapsulation: match args.path {
            Path::Peering => Encapsulation::Esp,
            Path::Internet => Encapsulation::Udp,
        },
        inner: Inner::Ipv4,
        delay: delay(args.path),
        ..args.built.lab_options()
    }
}

/// The one-way delay of the trunk.
const fn delay(path: Path) -> Duration {
    match path {
        Path::Peering => Duration::ZERO,
        Path::Internet => INTERNET_DELAY,
    }
}

/// The limits. Without an option, a run with all gateways finds the capacity of this machine.
fn caps(args: &Args, progress: &mut Progress) -> Result<Caps> {
    let reference = Reference::row(args.path, args.direction);
    let most = args.gateways.0.last().copied().unwrap_or(1);
    let caps = scale::caps(&reference, args.cap_gateway, args.cap_vpc, || {
        progress.report(&format!(
            "finding the scale with {}",
            document::gateways(most)
        ));
        let lab = start_lab(args, most)?;
        let mut plan = point::load(args);
        plan.tcp.duration = TRIAL;
        let moved = point::tcp_mbit(&transfer::run(&lab, &plan)?);
        progress.done(trial_seconds(args));
        progress.report(&format!(
            "this machine carries {moved:.1} Mbit/s without limits"
        ));
        Ok(moved)
    })?;
    Goodput::of(&options(args, most), args.direction).check(&caps, args.udp_size, args.udp_rate)?;
    Ok(caps)
}

fn lab_seconds(gateways: u8) -> f64 {
    LAB_SECONDS + GATEWAY_SECONDS * f64::from(gateways)
}

fn run_seconds(args: &Args) -> f64 {
    f64::from(args.warm_up + args.duration) + RUN_OVERHEAD_SECONDS
}

fn trial_seconds(args: &Args) -> f64 {
    let most = args.gateways.0.last().copied().unwrap_or(1);
    lab_seconds(most) + f64::from(args.warm_up + TRIAL) + RUN_OVERHEAD_SECONDS
}

fn expected_seconds(args: &Args, curves: usize) -> f64 {
    let runs = curves as f64 * f64::from(args.repeat);
    let points = args.gateways.0.iter();
    let points = points.map(|&gateways| lab_seconds(gateways) + runs * run_seconds(args));
    let finds_scale =
        args.mode != Mode::Uncapped && args.cap_gateway.is_none() && args.cap_vpc.is_none();
    let trial = if finds_scale {
        trial_seconds(args)
    } else {
        0.0
    };
    trial + points.sum::<f64>()
}

fn plan(args: &Args) -> Plan {
    Plan {
        gateways: args.gateways.0.clone(),
        direction: name(args.direction),
        path: name(args.path),
        placement: args.placement.to_string(),
        cipher: args.cipher.to_string(),
        duration: args.duration,
        warm_up: args.warm_up,
        repeat: args.repeat,
        streams: args.streams,
        udp_size: point::size_name(args.udp_size),
        udp_rate: args.udp_rate,
        delay_ms: delay(args.path).as_secs_f64() * 1e3,
    }
}

fn goals(document: &Document) -> Vec<Goal> {
    let points = |capped: bool| {
        let curves = document.curves.iter();
        let wanted = curves.filter(move |series| series.caps.is_some() == capped);
        wanted.flat_map(|series| &series.points)
    };
    let mut goals = Vec::new();
    let worst = points(true)
        .filter_map(|point| Some((point.efficiency?, point)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((efficiency, point)) = worst {
        goals.push(Goal {
            goal: "capped: at least 95 % of min(n x gateway, VPC) with every number of gateways"
                .to_owned(),
            held: efficiency >= EFFICIENCY_GOAL,
            figure: format!(
                "lowest {:.1} %, with {}",
                efficiency * 100.0,
                document::gateways(point.gateways)
            ),
        });
    }
    let all: Vec<&Point> = points(true).chain(points(false)).collect();
    if !all.is_empty() {
        let sum = |of: fn(&Point) -> u64| all.iter().map(|point| of(point)).sum::<u64>();
        let (reordered, duplicated) = (sum(|p| p.udp.reordered), sum(|p| p.udp.duplicated));
        goals.push(Goal {
            goal: "no numbered packet is reordered or duplicated".to_owned(),
            held: reordered + duplicated == 0,
            figure: format!(
                "{} sent, {} lost, {reordered} reordered, {duplicated} duplicated",
                sum(|p| p.udp.sent),
                sum(|p| p.udp.lost)
            ),
        });
    }
    let cut_off: u32 = all.iter().map(|point| point.cut_off).sum();
    goals.push(Goal {
        goal: "iperf3 ends by itself in every run".to_owned(),
        held: cut_off == 0,
        figure: format!(
            "{cut_off} of {} were stopped by the harness",
            all.iter()
                .map(|point| point.tcp_mbit.runs.len())
                .sum::<usize>()
        ),
    });
    let failed: usize = document.curves.iter().map(|s| s.failures.len()).sum();
    goals.push(Goal {
        goal: "every point is measured".to_owned(),
        held: failed == 0,
        figure: format!("{failed} of {} failed", all.len() + failed),
    });
    goals
}

fn write(document: &Document, folder: &FilePath) -> Result<()> {
    let file = |name: &str, content: Vec<u8>| {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    file("curve.json", serde_json::to_vec_pretty(document)?)?;
    file("curve.csv", csv::text(document)?)?;
    file("curve.html", html::page(document).into_bytes())
}
