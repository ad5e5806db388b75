//! `perf rescale`: loss, reordering and silence of packets while a cluster changes.

use anyhow::Result;
use causeway_lab::measure::direction::Directions;
use causeway_lab::measure::flood;
use causeway_lab::measure::iperf::Tcp;
use causeway_lab::measure::rescale::{Action, Plan, Rescale, Step, run as measure};
use causeway_lab::output::print_line;
use causeway_lab::{Change, Lab, Options, Outcome, Placement};
use causeway_rescale::coordinator;
use serde::Serialize;

use crate::goal::Goal;
use crate::machine::{self, Machine};
use crate::options::{Built, Output};

/// The longest silence of a flow after a gateway's death, in milliseconds.
const SILENCE_GOAL_MS: f64 = 1000.0;

/// The first rate of the search for the full load, in packets per second.
const FIRST_RATE: u32 = 1000;
/// A sender keeps up if it sends at least this part of the requested packets.
const KEPT_UP: f64 = 0.9;

/// Options of `rescale`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
    /// Initial number of gateways of each VPC's cluster
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=9))]
    gateways: u8,
    /// Placement of the gateways: remote, each on its own host, or local, all on the demux's host
    #[arg(long, default_value_t = Placement::Remote)]
    placement: Placement,
    /// Seconds between two steps
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(3..=60))]
    interval: u32,
    /// UDP flows per direction
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(2..=20_000))]
    flows: u16,
    /// UDP packets per second and direction, over all flows [default: the highest rate without loss beside
    /// the TCP load, found by doubling]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// TCP connections per direction
    #[arg(long, default_value_t = 4)]
    streams: u16,
    /// Limit of unacknowledged bytes over all TCP connections of a direction
    #[arg(long, default_value_t = 128 << 10)]
    window: u32,
    #[command(flatten)]
    built: Built,
}

/// The document of `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Document<'a> {
    /// 1. Incremented when a key changes its meaning or is removed.
    version: u32,
    /// The machine of the measurement.
    machine: Machine,
    /// Load average of one minute, before and after; `null` if unknown.
    load: [Option<f64>; 2],
    /// Initial gateways of each cluster.
    gateways: u8,
    /// `remote` or `local`.
    placement: String,
    /// UDP flows per direction.
    flows: u16,
    /// UDP packets per second and direction.
    rate: u32,
    /// The search for `rate`; empty with `--rate`.
    tried: &'a [Tried],
    #[serde(flatten)]
    measured: &'a Rescale,
    /// The goals and their results.
    goals: Vec<Goal>,
}

/// A rate of the search.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Tried {
    /// UDP packets per second and direction.
    rate: u32,
    /// Lost packets of both directions.
    lost: u64,
}

/// Measures, prints the report and writes the document.
pub fn run(args: &Args) -> Result<()> {
    let options = Options {
        gateways: args.gateways + 1,
        standby: 1,
        placement: args.placement,
        ..args.built.lab_options()
    };
    let mut plan = Plan {
        flood: flood::Plan {
            flows: args.flows,
            busy_flows: args.flows / 50,
            rate: args.rate.unwrap_or(FIRST_RATE),
            size: flood::SMALL,
            directions: Directions::Both,
        },
        streams: args.streams,
        window: args.window,
        interval: args.interval,
    };
    let mut acts = vec![
        Action::Change(Change::Add(args.gateways + 1)),
        Action::Change(Change::Drain(1)),
        Action::Change(Change::Weight(1, 2)),
    ];
    // In the local placement all gateways are one process with the demux.
    if args.placement == Placement::Remote {
        acts.extend([Action::Kill(2), Action::Return(2)]);
    }
    let load = machine::load();
    let mut lab = Lab::new(options)?;
    lab.start_roles()?;
    let tried = match args.rate {
        Some(_) => Vec::new(),
        None => full_load(&lab, &mut plan)?,
    };
    print_line(format_args!(
        "{} gateways per VPC ({}), {} UDP flows and {} packets/s per direction",
        args.gateways, args.placement, args.flows, plan.flood.rate
    ))?;
    let measured = measure(&lab, plan, &acts)?;
    let goals = goals(&measured);
    print(&measured, &goals)?;
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
    args.output.write(&document)
}

/// Doubles the rate as long as a window without steps has no loss. The plan keeps the last rate without loss.
fn full_load(lab: &Lab, plan: &mut Plan) -> Result<Vec<Tried>> {
    let mut tried = Vec::new();
    for rate in (0..).map_while(|doubled| FIRST_RATE.checked_shl(doubled)) {
        let mut faster = *plan;
        faster.flood.rate = rate;
        let quiet = &measure(lab, faster, &[])?.steps[0];
        let lost = quiet.there.lost + quiet.back.lost;
        print_line(format_args!(
            "{rate} packets/s per direction beside TCP: {lost} lost without a step"
        ))?;
        tried.push(Tried { rate, lost });
        // A sender that does not keep up has reached the limit of the machine as well.
        let wanted = f64::from(2 * rate) * quiet.seconds;
        let sent = (quiet.there.sent + quiet.back.sent) as f64;
        if lost > 0 || sent < wanted * KEPT_UP {
            break;
        }
        plan.flood.rate = rate;
    }
    Ok(tried)
}

fn print(measured: &Rescale, goals: &[Goal]) -> Result<()> {
    print_line(format_args!(
        "{:8}{:>10}{:>9}{:>7}{:>6}{:>6}{:>10}{:>9}{:>9}{:>10}{:>10}",
        "step",
        "direction",
        "sent",
        "lost",
        "reord",
        "dup",
        "silence",
        "p50",
        "p99",
        "p50 more",
        "p99 more"
    ))?;
    let quiet = measured.steps.first();
    for step in &measured.steps {
        for (direction, window, before) in [
            ("there", &step.there, quiet.map(|q| q.there)),
            ("back", &step.back, quiet.map(|q| q.back)),
        ] {
            let before = before.unwrap_or_default();
            print_line(format_args!(
                "{:8}{direction:>10}{:>9}{:>7}{:>6}{:>6}{:>7.0} ms{:>6.0} us{:>6.0} us{:>7.0} us{:>7.0} us",
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
            ))?;
        }
    }
    print_line("")?;
    for step in &measured.steps {
        for (vpc, outcome) in (1..).zip(step.outcomes.iter().flatten()) {
            print_line(format_args!(
                "{} in VPC {vpc}: {}",
                step.name,
                text(outcome)
            ))?;
        }
    }
    let Tcp { total, .. } = &measured.tcp;
    print_line(format_args!(
        "TCP: {:.3} Gbit/s over {} connections of both directions, {} retransmits, {} stalled at the end\n",
        total.gbit_per_s, total.streams, total.retransmits, total.stalled
    ))?;
    for goal in goals {
        let verdict = if goal.held { "met" } else { "missed" };
        print_line(format_args!("{verdict}: {}: {}", goal.goal, goal.figure))?;
    }
    Ok(())
}

/// The text that `causeway local gateway` prints.
fn text(outcome: &Outcome) -> String {
    let printable = coordinator::Outcome {
        epoch: outcome.epoch,
        moved_idle: outcome.moved_idle as usize,
        moved_by_barrier: outcome.moved_by_barrier as usize,
        minimum: outcome.minimum as usize,
        held: outcome.held,
        dropped: outcome.dropped,
        elapsed_ms: outcome.elapsed_ms,
    };
    printable.to_string()
}

/// Packets of several steps, both directions together.
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

    fn text(&self) -> String {
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
            goal: "before the steps: no packet lost, reordered or duplicated".to_owned(),
            held: quiet.lost == 0 && quiet.in_order(),
            figure: quiet.text(),
        },
        Goal {
            goal: "planned changes: no packet lost, reordered or duplicated".to_owned(),
            held: planned.lost == 0 && planned.in_order(),
            figure: planned.text(),
        },
        Goal {
            goal: "planned changes: the minimum of buckets moved".to_owned(),
            held: more == 0,
            figure: format!("{more} of {} moved more than the minimum", outcomes.len()),
        },
        Goal {
            goal: "every TCP connection survives".to_owned(),
            held: total.stalled == 0 && total.gbit_per_s > 0.0,
            figure: format!(
                "{} of {} stalled at the end; {} whole seconds of single connections without a byte",
                total.stalled, total.streams, total.still_seconds
            ),
        },
    ];
    if of(|name| name == "kill").next().is_some() {
        let killed = Sum::of(of(|name| name == "kill"));
        goals.push(Goal {
            goal: "death of a gateway: no packet reordered or duplicated".to_owned(),
            held: killed.in_order(),
            figure: killed.text(),
        });
        goals.push(Goal {
            goal: "death of a gateway: no flow silent for more than 1 s".to_owned(),
            held: killed.silence_ms <= SILENCE_GOAL_MS,
            figure: format!("{:.0} ms", killed.silence_ms),
        });
    }
    goals
}

#[cfg(test)]
mod tests {
    use causeway_json_docs::{check, written};

    use super::*;
    use crate::curve;

    #[test]
    fn the_page_has_the_keys_of_the_document() {
        let lists = [("document", written::<Document>())];
        let others = [
            ("curve-report.md", written::<curve::document::Document>()),
            ("run-report.md", written::<Vec<Tcp>>()),
        ];
        check("docs/rescale-report.md", &lists, &others);
    }
}
