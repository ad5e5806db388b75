//! A cluster that changes under load: numbered UDP over many flows and TCP, both ways at once, while
//! gateways join, drain, weigh more, die and return.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde::Serialize;

use super::flood;
use super::iperf::{self, Load, Tcp, Way};
use super::window::Window;
use crate::cluster::LOOK;
use crate::{Change, Lab, Outcome, Process, Site, Table};

/// How long the slowest packet of a step may be on its way after the step's end.
const AFTERMATH: Duration = Duration::from_millis(1500);
/// Nothing moves any more if nothing did for so long: longer than a change waits for idle buckets, and
/// than a barrier takes.
const REST: Duration = Duration::from_millis(300);
/// A dead gateway is given up after half a second, a returned one starts first.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is sent, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The flood of each direction.
    pub flood: flood::Plan,
    /// Connections of each direction.
    pub streams: u16,
    /// Octets that all connections of a direction together have on their way at most.
    pub window: u32,
    /// Seconds from one step to the next, and before the first.
    pub interval: u32,
}

/// Something that is done to the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A planned change, first in VPC 1, then in VPC 2.
    Change(Change),
    /// The gateway with this number in VPC 1 dies by SIGKILL.
    Kill(u8),
    /// It is started again, and gets its buckets back.
    Return(u8),
}

impl Act {
    /// Its name in the report.
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

/// What a step did to the load.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// `quiet`, `add`, `drain`, `remove`, `weight`, `kill` or `return`.
    pub name: &'static str,
    /// What it did at the demuxes of VPC 1 and VPC 2.
    pub outcomes: Option<[Outcome; 2]>,
    /// Seconds from its begin to the end of what is judged.
    pub seconds: f64,
    /// The packets of the flood from VPC 1 to VPC 2.
    pub there: Window,
    /// Those from VPC 2 to VPC 1.
    pub back: Window,
}

/// The whole.
#[derive(Clone, Debug, Serialize)]
pub struct Rescale {
    /// A window in which nothing was done, then each step.
    pub steps: Vec<Step>,
    /// The connections, which ran all the time.
    pub tcp: Tcp,
}

struct Done {
    name: &'static str,
    outcomes: Option<[Outcome; 2]>,
    window: Range<u64>,
}

/// Loads the cluster and takes the steps, one each interval.
///
/// # Errors
/// The load does not run, or a demux refuses a step.
pub fn run(lab: &Lab, plan: Plan, acts: &[Act]) -> Result<Rescale> {
    let begun = Instant::now();
    let load = Load {
        streams: plan.streams,
        duration: plan.interval * (acts.len() as u32 + 1) + 1,
        warm_up: 0,
        congestion: None,
        window: Some(plan.window),
    };
    // They live until the last packet has crossed.
    let mut revived = Vec::new();
    let ((done, tcp), [there, back]) = flood::around(lab, plan.flood, begun, || {
        thread::scope(|scope| {
            let (from, to) = (Site::host(1, 2), Site::host(2, 2));
            let tcp = scope.spawn(move || iperf::run(lab, from, to, load, Way::Both));
            let done = steps(lab, plan, acts, begun, &mut revived);
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
    acts: &[Act],
    begun: Instant,
    revived: &mut Vec<Process>,
) -> Result<Vec<Done>> {
    let interval = Duration::from_secs(plan.interval.into());
    let at = || begun.elapsed().as_nanos() as u64;
    // The first half is for connections to open and caches to warm.
    thread::sleep(interval / 2);
    let start = at();
    thread::sleep(interval / 2);
    let mut done = vec![Done {
        name: "quiet",
        outcomes: None,
        window: start..at(),
    }];
    for (number, act) in (1..).zip(acts) {
        thread::sleep((begun + interval * number).saturating_duration_since(Instant::now()));
        let start = at();
        let outcomes = take(lab, *act, revived)?;
        thread::sleep(AFTERMATH);
        done.push(Done {
            name: act.name(),
            outcomes: Some(outcomes),
            window: start..at(),
        });
    }
    Ok(done)
}

fn take(lab: &Lab, act: Act, revived: &mut Vec<Process>) -> Result<[Outcome; 2]> {
    let number = match act {
        Act::Change(change) => return lab.change_both(change),
        Act::Kill(number) | Act::Return(number) => number,
    };
    let site = Site::gateway(1, number);
    let before = tables(lab)?;
    let begun = Instant::now();
    if act == Act::Kill(number) {
        lab.signal_role(site, Signal::KILL)?;
    } else {
        revived.push(lab.revive(site)?);
    }
    let goes = act == Act::Kill(number);
    let after = loop {
        let now = tables(lab)?;
        if now.iter().all(|table| (table.buckets(number) == 0) == goes) {
            break now;
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "gateway-{number} of VPC 1 did not {} within {PATIENCE:?}: {now:?}",
            act.name()
        );
        thread::sleep(LOOK);
    };
    let elapsed_ms = begun.elapsed().as_millis() as u64;
    let after = at_rest(lab, after)?;
    Ok([0, 1].map(|vpc| {
        let (before, after): (&Table, &Table) = (&before[vpc], &after[vpc]);
        Outcome {
            epoch: after.epoch,
            moved_idle: after.moved.idle - before.moved.idle,
            moved_by_barrier: after.moved.barrier - before.moved.barrier,
            minimum: before.buckets(number).max(after.buckets(number)),
            held: after.held.packets - before.held.packets,
            dropped: after.held.dropped - before.held.dropped,
            elapsed_ms,
        }
    }))
}

/// The tables once nothing moves any more: the first bucket that moves is not the last, and what is
/// told of a move follows it.
fn at_rest(lab: &Lab, mut seen: [Table; 2]) -> Result<[Table; 2]> {
    let told = |tables: &[Table; 2]| {
        tables
            .each_ref()
            .map(|table| (table.moved.idle, table.moved.barrier, table.held.packets))
    };
    let begun = Instant::now();
    loop {
        thread::sleep(REST);
        let now = tables(lab)?;
        if told(&now) == told(&seen) {
            return Ok(now);
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "buckets still move after {PATIENCE:?}: {now:?}"
        );
        seen = now;
    }
}

fn tables(lab: &Lab) -> Result<[Table; 2]> {
    Ok([lab.table(1)?, lab.table(2)?])
}
