//! Cluster changes under load. Numbered UDP over many flows and TCP run in both directions, while gateways join, drain, get
//! another weight, die and return.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde::Serialize;

use super::direction::Directions;
use super::flood;
use super::iperf::{self, Load, Tcp};
use super::window::Window;
use crate::cluster::POLL_INTERVAL;
use crate::status::Table;
use crate::{Change, Lab, Outcome, Process, Site, buckets};

/// The wait after a step, longer than the slowest packet takes.
const SETTLE_TIME: Duration = Duration::from_millis(1500);
/// Buckets are at rest if none moved for this long: longer than a change waits for idle buckets, and longer than a barrier.
const REST: Duration = Duration::from_millis(300);
/// Time limit for a dead gateway to lose its buckets, or for a restarted one to start and get them back.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The load and the time between steps.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The flood of each direction.
    pub flood: flood::Plan,
    /// TCP connections of each direction.
    pub streams: u16,
    /// Maximum bytes in flight of all connections of a direction together.
    pub window: u32,
    /// Seconds between steps, and before the first one.
    pub interval: u32,
}

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A planned change, first in VPC 1, then in VPC 2.
    Change(Change),
    /// Kills the gateway with this number in VPC 1 by SIGKILL.
    Kill(u8),
    /// Starts that gateway again, and waits until it has buckets again.
    Return(u8),
}

impl Action {
    /// The name in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Change(Change::Add(_)) => "add",
            Self::Change(Change::Drain(_)) => "drain",
            Self::Change(Change::Remove(_)) => "remove",
            Self::Change(Change::Weight(..)) => "weight",
            Self::Kill(_) => "kill",
            Self::Return(_) => "return",
        }
    }
}

/// The load during one step.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// `quiet`, `add`, `drain`, `remove`, `weight`, `kill` or `return`.
    pub name: &'static str,
    /// The effect of the step in VPC 1 and in VPC 2; `null` for `quiet`. For `kill` and `return` the values are from the
    /// demuxes' counters.
    pub outcomes: Option<[Outcome; 2]>,
    /// Length of the time window in seconds.
    pub seconds: f64,
    /// Numbered UDP packets from VPC 1 to VPC 2.
    pub there: Window,
    /// Numbered UDP packets from VPC 2 to VPC 1.
    pub back: Window,
}

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rescale {
    /// A window without a step, then each step.
    pub steps: Vec<Step>,
    /// iperf3 over the whole run.
    pub tcp: Tcp,
}

struct Done {
    name: &'static str,
    outcomes: Option<[Outcome; 2]>,
    window: Range<u64>,
}

/// Loads the cluster and performs one step in each interval.
///
/// # Errors
/// The load does not run, or a demux refuses a step.
pub fn run(lab: &Lab, plan: Plan, actions: &[Action]) -> Result<Rescale> {
    let begun = Instant::now();
    let duration = plan.interval * (actions.len() as u32 + 1) + 1;
    let load = Load {
        window: Some(plan.window),
        ..Load::new(plan.streams, duration)
    };
    // The restarted processes must run until the last packet has arrived.
    let mut restarted = Vec::new();
    let ((done, tcp), [there, back]) = flood::during(lab, plan.flood, begun, || {
        thread::scope(|scope| {
            let (from, to) = (Site::host(1, 2), Site::host(2, 2));
            let tcp = scope.spawn(move || iperf::run(lab, from, to, load, Directions::Both));
            let done = steps(lab, plan, actions, begun, &mut restarted);
            let tcp = tcp
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((done?, tcp?))
        })
    })?;
    let steps = done.into_iter().map(|step| Step {
        name: step.name,
        outcomes: step.outcomes,
        seconds: (step.window.end - step.window.start) as f64 / 1e9,
        there: Window::of(&there, &step.window),
        back: Window::of(&back, &step.window),
    });
    Ok(Rescale {
        steps: steps.collect(),
        tcp,
    })
}

fn steps(
    lab: &Lab,
    plan: Plan,
    actions: &[Action],
    begun: Instant,
    restarted: &mut Vec<Process>,
) -> Result<Vec<Done>> {
    let interval = Duration::from_secs(plan.interval.into());
    let at = || begun.elapsed().as_nanos() as u64;
    // In the first half connections open and caches fill.
    thread::sleep(interval / 2);
    let start = at();
    thread::sleep(interval / 2);
    let mut done = vec![Done {
        name: "quiet",
        outcomes: None,
        window: start..at(),
    }];
    for (number, action) in (1..).zip(actions) {
        thread::sleep((begun + interval * number).saturating_duration_since(Instant::now()));
        let start = at();
        let outcomes = perform(lab, *action, restarted)?;
        thread::sleep(SETTLE_TIME);
        done.push(Done {
            name: action.name(),
            outcomes: Some(outcomes),
            window: start..at(),
        });
    }
    Ok(done)
}

fn perform(lab: &Lab, action: Action, restarted: &mut Vec<Process>) -> Result<[Outcome; 2]> {
    let number = match action {
        Action::Change(change) => return lab.change_both(change),
        Action::Kill(number) | Action::Return(number) => number,
    };
    let site = Site::gateway(1, number);
    let before = tables(lab)?;
    let begun = Instant::now();
    if action == Action::Kill(number) {
        lab.signal_role(site, Signal::KILL)?;
    } else {
        restarted.push(lab.restart(site)?);
    }
    let leaves = action == Action::Kill(number);
    let after = loop {
        let now = tables(lab)?;
        if now
            .iter()
            .all(|table| (buckets(table, number) == 0) == leaves)
        {
            break now;
        }
        ensure!(
            begun.elapsed() < TIMEOUT,
            "gateway-{number} of VPC 1 did not {} within {TIMEOUT:?}: {now:?}",
            action.name()
        );
        thread::sleep(POLL_INTERVAL);
    };
    let elapsed_ms = begun.elapsed().as_millis() as u64;
    let after = at_rest(lab, after)?;
    Ok([0, 1].map(|vpc| {
        let (before, after): (&Table, &Table) = (&before[vpc], &after[vpc]);
        Outcome {
            epoch: after.epoch,
            moved_idle: after.moved.idle - before.moved.idle,
            moved_by_barrier: after.moved.barrier - before.moved.barrier,
            minimum: buckets(before, number).max(buckets(after, number)),
            held: after.held.packets - before.held.packets,
            dropped: after.held.dropped - before.held.dropped,
            elapsed_ms,
        }
    }))
}

/// The tables after the last bucket has moved. Buckets move one after the other, and the counters follow later.
fn at_rest(lab: &Lab, mut seen: [Table; 2]) -> Result<[Table; 2]> {
    let counters = |tables: &[Table; 2]| {
        tables
            .each_ref()
            .map(|table| (table.moved.idle, table.moved.barrier, table.held.packets))
    };
    let begun = Instant::now();
    loop {
        thread::sleep(REST);
        let now = tables(lab)?;
        if counters(&now) == counters(&seen) {
            return Ok(now);
        }
        ensure!(
            begun.elapsed() < TIMEOUT,
            "buckets still move after {TIMEOUT:?}: {now:?}"
        );
        seen = now;
    }
}

fn tables(lab: &Lab) -> Result<[Table; 2]> {
    Ok([lab.table(1)?, lab.table(2)?])
}
