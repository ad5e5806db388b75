//! `rescale`: what a cluster's changes do to the packets that cross meanwhile.

use std::path::PathBuf;

use anyhow::Result;
use causeway_lab::measure::flood;
use causeway_lab::measure::iperf::{Tcp, Way};
use causeway_lab::measure::rescale::{Act, Plan, Rescale, Step, run as measure};
use causeway_lab::{Change, Lab, Options, Outcome, Placement};
use causeway_rescale::coordinator;
use serde::Serialize;

use crate::machine::{self, Machine};

/// The longest silence of a flow after a gateway's death, in milliseconds.
const SILENCE_GOAL_MS: f64 = 1000.0;

/// Where the search for the full load begins, in packets per second.
const FIRST_RATE: u32 = 1000;
/// The part of the packets asked for that a sender sends at least, if it keeps up.
const KEPT_UP: f64 = 0.9;

/// Options of `rescale`.
#[derive(clap::Args)]
pub struct Args {
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Gateways of each VPC's cluster at first
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=9))]
    gateways: u8,
    /// Where the gateways run: each on a host of its own, or all on the demux's
    #[arg(long, default_value_t = Placement::Remote)]
    placement: Placement,
    /// Seconds from one step to the next
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(3..=60))]
    interval: u32,
    /// UDP flows of each direction
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(2..=20_000))]
    flows: u16,
    /// UDP packets per second of each direction, all flows together; absent: as many as a machine
    /// that is full with TCP carries without a loss, found by doubling
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// TCP connections of each direction
    #[arg(long, default_value_t = 4)]
    streams: u16,
    /// Octets that all TCP connections of a direction together have on their way at most
    #[arg(long, default_value_t = 128 << 10)]
    window: u32,
    /// The causeway binary
    #[arg(
        long,
        env = "CAUSEWAY_BINARY",
        default_value = "target/release/causeway"
    )]
    causeway: PathBuf,
    /// The kernel program's object file
    #[arg(
        long,
        env = "CAUSEWAY_XDP_OBJECT",
        default_value = "target/causeway-xdp.o"
    )]
    object: PathBuf,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    /// Raised when a key changes its meaning.
    version: u32,
    machine: Machine,
    /// Load average of one minute, before and after.
    load: [Option<f64>; 2],
    gateways: u8,
    placement: String,
    flows: u16,
    rate: u32,
    /// The rates that were tried to find it, and what was lost there.
    tried: &'a [Tried],
    #[serde(flatten)]
    measured: &'a Rescale,
    goals: Vec<Goal>,
}

/// A rate that was tried.
#[derive(Serialize)]
struct Tried {
    rate: u32,
    lost: u64,
}

/// A goal and whether it was held.
#[derive(Serialize)]
struct Goal {
    goal: &'static str,
    held: bool,
    figure: String,
}

/// Measures, prints and writes.
pub fn run(args: &Args) -> Result<()> {
    let options = Options {
        gateways: args.gateways + 1,
        standby: 1,
        placement: args.placement,
        ..Options::new(
            std::path::absolute(&args.causeway)?,
            std::path::absolute(&args.object)?,
        )
    };
    let mut plan = Plan {
        flood: flood::Plan {
            flows: args.flows,
            busy_flows: args.flows / 50,
            rate: args.rate.unwrap_or(FIRST_RATE),
            size: flood::SMALL,
            way: Way::Both,
        },
        streams: args.streams,
        window: args.window,
        interval: args.interval,
    };
    let mut acts = vec![
        Act::Change(Change::Add(args.gateways + 1)),
        Act::Change(Change::Drain(1)),
        Act::Change(Change::Weight(1, 2)),
    ];
    // In the local placement all gateways are one process with the demux.
    if args.placement == Placement::Remote {
        acts.extend([Act::Kill(2), Act::Return(2)]);
    }
    let load = machine::load();
    let mut lab = Lab::new(options)?;
    lab.start_roles()?;
    let tried = match args.rate {
        Some(_) => Vec::new(),
        None => full_load(&lab, &mut plan)?,
    };
    println!(
        "{} gateways of each VPC ({}), {} UDP flows of each direction, {} packets/s together",
        args.gateways, args.placement, args.flows, plan.flood.rate
    );
    let measured = measure(&lab, plan, &acts)?;
    let goals = goals(&measured);
    print(&measured, &goals);
    if let Some(file) = &args.json {
        let document = Document {
            version: 1,
            machine: Machine::this(),
            load: [load, machine::load()],
            gateways: args.gateways,
            placement: args.placement.to_string(),
            flows: args.flows,
            rate: plan.flood.rate,
            tried: &tried,
            measured: &measured,
            goals,
        };
        std::fs::write(file, serde_json::to_vec_pretty(&document)?)?;
    }
    Ok(())
}

/// Doubles the rate while a window without any step loses nothing, and leaves the last such one.
fn full_load(lab: &Lab, plan: &mut Plan) -> Result<Vec<Tried>> {
    let mut tried = Vec::new();
    for rate in (0..).map_while(|doubled| FIRST_RATE.checked_shl(doubled)) {
        let mut faster = *plan;
        faster.flood.rate = rate;
        let quiet = &measure(lab, faster, &[])?.steps[0];
        let lost = quiet.there.lost + quiet.back.lost;
        println!("{rate} packets/s each way beside TCP: {lost} lost without a step");
        tried.push(Tried { rate, lost });
        // A sender that does not keep up has found the machine's limit as well.
        let wanted = f64::from(2 * rate) * quiet.seconds;
        let sent = (quiet.there.sent + quiet.back.sent) as f64;
        if lost > 0 || sent < wanted * KEPT_UP {
            break;
        }
        plan.flood.rate = rate;
    }
    Ok(tried)
}

fn print(measured: &Rescale, goals: &[Goal]) {
    println!(
        "{:8}{:>7}{:>9}{:>7}{:>6}{:>6}{:>10}{:>9}{:>9}{:>10}{:>10}",
        "step",
        "way",
        "sent",
        "lost",
        "reord",
        "dup",
        "silence",
        "p50",
        "p99",
        "p50 more",
        "p99 more"
    );
    let quiet = measured.steps.first();
    for step in &measured.steps {
        for (way, window, before) in [
            ("there", &step.there, quiet.map(|q| q.there)),
            ("back", &step.back, quiet.map(|q| q.back)),
        ] {
            let before = before.unwrap_or_default();
            println!(
                "{:8}{way:>7}{:>9}{:>7}{:>6}{:>6}{:>7.0} ms{:>6.0} us{:>6.0} us{:>7.0} us{:>7.0} us",
                step.name,
                window.sent,
                window.lost,
                window.reordered,
                window.duplicated,
                window.silence_ms,
                window.p50_us,
                window.p99_us,
                window.p50_us - before.p50_us,
                window.p99_us - before.p99_us,
            );
        }
    }
    println!();
    for step in &measured.steps {
        for (vpc, outcome) in (1..).zip(step.outcomes.iter().flatten()) {
            println!("{} in VPC {vpc}: {}", step.name, sentence(outcome));
        }
    }
    let Tcp { total, .. } = &measured.tcp;
    println!(
        "TCP: {:.3} Gbit/s over {} connections both ways, {} retransmits, {} stalled at the end\n",
        total.gbit_per_s, total.streams, total.retransmits, total.stalled
    );
    for goal in goals {
        let word = if goal.held { "held" } else { "missed" };
        println!("{word}: {}: {}", goal.goal, goal.figure);
    }
}

/// In the words of `causeway local gateway`.
fn sentence(outcome: &Outcome) -> String {
    let told = coordinator::Outcome {
        epoch: outcome.epoch,
        moved_idle: outcome.moved_idle as usize,
        moved_by_barrier: outcome.moved_by_barrier as usize,
        minimum: outcome.minimum as usize,
        held: outcome.held,
        dropped: outcome.dropped,
        elapsed_ms: outcome.elapsed_ms,
    };
    told.to_string()
}

/// Packets of some steps, both ways together.
#[derive(Default)]
struct Sum {
    lost: u64,
    reordered: u64,
    duplicated: u64,
    silence_ms: f64,
}

impl Sum {
    fn of<'a>(steps: impl Iterator<Item = &'a Step>) -> Self {
        let windows = steps.flat_map(|step| [&step.there, &step.back]);
        windows.fold(Self::default(), |sum, window| Self {
            lost: sum.lost + window.lost,
            reordered: sum.reordered + window.reordered,
            duplicated: sum.duplicated + window.duplicated,
            silence_ms: sum.silence_ms.max(window.silence_ms),
        })
    }

    fn in_order(&self) -> bool {
        self.reordered + self.duplicated == 0
    }

    fn sentence(&self) -> String {
        let Self {
            lost,
            reordered,
            duplicated,
            ..
        } = self;
        format!("{lost} lost, {reordered} reordered, {duplicated} duplicated")
    }
}

fn goals(measured: &Rescale) -> Vec<Goal> {
    let of = |wanted: fn(&str) -> bool| measured.steps.iter().filter(move |step| wanted(step.name));
    let is_planned = |name: &str| !matches!(name, "quiet" | "kill");
    let quiet = Sum::of(of(|name| name == "quiet"));
    let planned = Sum::of(of(is_planned));
    let outcomes: Vec<&Outcome> = of(is_planned)
        .flat_map(|step| step.outcomes.iter().flatten())
        .collect();
    let more = outcomes
        .iter()
        .filter(|o| o.moved_idle + o.moved_by_barrier > o.minimum)
        .count();
    let total = &measured.tcp.total;
    let mut goals = vec![
        Goal {
            goal: "before the steps: nothing lost, reordered or duplicated",
            held: quiet.lost == 0 && quiet.in_order(),
            figure: quiet.sentence(),
        },
        Goal {
            goal: "planned changes: nothing lost, reordered or duplicated",
            held: planned.lost == 0 && planned.in_order(),
            figure: planned.sentence(),
        },
        Goal {
            goal: "planned changes: as few buckets moved as can be",
            held: more == 0,
            figure: format!("{more} of {} moved more", outcomes.len()),
        },
        Goal {
            goal: "every TCP connection survives",
            held: total.stalled == 0 && total.gbit_per_s > 0.0,
            figure: format!(
                "{} of {} still at the end; {} seconds of one connection without a byte",
                total.stalled, total.streams, total.still_seconds
            ),
        },
    ];
    if of(|name| name == "kill").next().is_some() {
        let killed = Sum::of(of(|name| name == "kill"));
        goals.push(Goal {
            goal: "a gateway's death: nothing reordered or duplicated",
            held: killed.in_order(),
            figure: killed.sentence(),
        });
        goals.push(Goal {
            goal: "a gateway's death: no flow silent for more than 1 s",
            held: killed.silence_ms <= SILENCE_GOAL_MS,
            figure: format!("{:.0} ms", killed.silence_ms),
        });
    }
    goals
}
