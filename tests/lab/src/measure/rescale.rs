//! A cluster that changes under load: numbered UDP over many flows and TCP, both ways at once, while
//! gateways join, drain, weigh more and die.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;
use serde::Serialize;

use super::flood;
use super::iperf::{self, Load, Tcp, Way};
use super::window::Window;
use crate::{Change, Lab, Outcome, Site};

/// How long the slowest answer to a step may reach beyond its end.
const AFTERMATH: Duration = Duration::from_millis(1500);

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

/// Something that is done to the cluster of each VPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A planned change, first in VPC 1, then in VPC 2.
    Change(Change),
    /// The gateway with this number in VPC 1 dies by SIGKILL.
    Kill(u8),
}

/// What a step did to the load.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// `quiet`, `add`, `drain`, `remove`, `weight` or `kill`.
    pub name: &'static str,
    /// What the demuxes of VPC 1 and VPC 2 say of a planned change.
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
pub fn run(lab: &Lab, plan: Plan, acts: &[Act]) -> Result<Rescale> {
    let begun = Instant::now();
    let stop = AtomicBool::new(false);
    let (one, two) = (Site::host(1, 1), Site::host(2, 1));
    let load = Load {
        streams: plan.streams,
        duration: plan.interval * (acts.len() as u32 + 2),
        window: Some(plan.window),
    };
    thread::scope(|scope| {
        let there = scope.spawn(|| flood::run(lab, (one, two), plan.flood, begun, &stop));
        let back = scope.spawn(|| flood::run(lab, (two, one), plan.flood, begun, &stop));
        let tcp =
            scope.spawn(|| iperf::run(lab, Site::host(1, 2), Site::host(2, 2), load, Way::Both));
        let done = steps(lab, plan, acts, begun);
        let tcp = joined(tcp);
        stop.store(true, Ordering::Relaxed);
        let (there, back) = (joined(there), joined(back));
        let (done, there, back) = (done?, there?, back?);
        let steps = done.into_iter().map(|step| Step {
            name: step.name,
            outcomes: step.outcomes,
            seconds: (step.window.end - step.window.start) as f64 / 1e9,
            there: Window::of(&there, &step.window),
            back: Window::of(&back, &step.window),
        });
        Ok(Rescale {
            steps: steps.collect(),
            tcp: tcp?,
        })
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn steps(lab: &Lab, plan: Plan, acts: &[Act], begun: Instant) -> Result<Vec<Done>> {
    let interval = Duration::from_secs(plan.interval.into());
    let at = || begun.elapsed().as_nanos() as u64;
    // The first interval is for connections to open and caches to warm.
    thread::sleep(interval / 2);
    let mut done = Vec::new();
    let start = at();
    thread::sleep(interval / 2);
    done.push(Done {
        name: "quiet",
        outcomes: None,
        window: start..at(),
    });
    for (number, act) in (1..).zip(acts) {
        thread::sleep((begun + interval * number).saturating_duration_since(Instant::now()));
        let start = at();
        let (name, outcomes) = take(lab, *act)?;
        let rest = interval.saturating_sub(Duration::from_nanos(at() - start));
        thread::sleep(AFTERMATH.min(rest));
        done.push(Done {
            name,
            outcomes,
            window: start..at(),
        });
    }
    Ok(done)
}

fn take(lab: &Lab, act: Act) -> Result<(&'static str, Option<[Outcome; 2]>)> {
    let change = match act {
        Act::Change(change) => change,
        Act::Kill(number) => {
            lab.signal_role(Site::gateway(1, number), Signal::KILL)?;
            return Ok(("kill", None));
        }
    };
    let name = match change {
        Change::Add(_) => "add",
        Change::Drain(_) => "drain",
        Change::Remove(_) => "remove",
        Change::Weight(..) => "weight",
    };
    Ok((name, Some(lab.change_both(change)?)))
}
