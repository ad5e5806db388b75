//! The whole round of measurements on a lab whose roles run, one window each,
//! then the drain and the sums. A measurement that fails is a fact that does
//! not hold, and the round goes on.

use std::collections::BTreeMap;

use anyhow::Result;

use super::busy::{self, Busy, Direction, Rate};
use super::capture::{self, Trunk};
use super::iperf::{Load, Tcp};
use super::laws;
use super::links::LinkDrops;
use super::load;
use super::pairs::{self, FlowPath};
use super::probe::{self, Probe};
use super::rekey::{self, Rekey};
use crate::{Fact, Final, Lab, Nic, Site};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// TCP connections of iperf3.
    pub streams: u16,
    /// Seconds of iperf3 in each direction.
    pub duration: u32,
    /// The numbered probe, sent in each direction.
    pub probe: probe::Plan,
    /// Seconds from one change of all keys to the next, in a window of its own; absent: none.
    pub rekey: Option<u32>,
}

impl Plan {
    /// iperf3 as TCP would have it.
    fn load(&self) -> Load {
        Load {
            streams: self.streams,
            duration: self.duration,
            warm_up: 0,
            congestion: None,
            window: None,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            streams: 4,
            duration: 5,
            probe: probe::Plan::default(),
            rekey: None,
        }
    }
}

/// From VPC 1 to VPC 2, and back; `None` where the measurement failed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BothWays<T> {
    /// VPC 1 sends.
    pub there: Option<T>,
    /// VPC 2 sends.
    pub back: Option<T>,
}

/// All that was measured.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The gateways that single flows used.
    pub pairs: Option<Vec<FlowPath>>,
    /// The trunk under a marked stream.
    pub trunk: Option<Trunk>,
    /// The numbered probe.
    pub probe: BothWays<Probe>,
    /// A thin probe beside iperf3, judged for order alone.
    pub probe_under_load: BothWays<Probe>,
    /// iperf3.
    pub tcp: BothWays<Tcp>,
    /// What new keys did to traffic, if any came.
    pub rekey: Option<Rekey>,
    /// Rates of the gateways of VPC 1 and of VPC 2, in their order.
    pub rates: [Vec<Rate>; 2],
    /// The NICs as they were at work; the last words tell of a detached program.
    pub in_force: BTreeMap<Site, Nic>,
    /// The last words of all roles.
    pub finals: Vec<Final>,
    /// The claims, in the order of the report.
    pub facts: Vec<Fact>,
}

impl Survey {
    /// Whether every claim held.
    pub fn holds(&self) -> bool {
        self.facts.iter().all(|fact| fact.holds)
    }
}

/// Measures, between the first hosts of the two VPCs, then stops the roles.
/// `progress` is told what happens next.
pub fn run(lab: &mut Lab, plan: &Plan, progress: &mut dyn FnMut(&str)) -> Result<Survey> {
    let (one, two) = (Site::host(1, 1), Site::host(2, 1));
    let mut facts = Vec::new();

    progress("waking every gateway pair");
    wake(lab, one, two)?;

    progress("tracing single flows and their answers");
    let pairs = keep(&mut facts, "same-gateway-pair", pairs::run(lab, one, two));
    facts.extend(pairs.iter().map(|paths| pairs::fact(paths)));

    progress("capturing the trunk under a marked stream");
    let trunk = keep(&mut facts, "trunk-encrypted", capture::trunk(lab, one, two));
    if let Some(trunk) = &trunk {
        facts.push(trunk.arrived());
        facts.push(trunk.encrypted(lab.options()));
    }

    let probe = BothWays {
        there: numbered(lab, plan, &mut facts, "probe-there", (one, two), progress),
        back: numbered(lab, plan, &mut facts, "probe-back", (two, one), progress),
    };

    let there = busy(lab, plan, Direction::There, &mut facts, progress);
    let back = busy(lab, plan, Direction::Back, &mut facts, progress);
    let rates = busy::rates(there.as_ref(), back.as_ref(), lab.options().gateways);

    let rekey = match plan.rekey {
        None => None,
        Some(every) => {
            progress(&format!(
                "new keys for every gateway pair each {every} s, under load"
            ));
            keep(&mut facts, "rekeys", rekey::run(lab, plan, every))
        }
    };
    if let Some(rekey) = &rekey {
        facts.extend(rekey.facts(lab.options()));
    }

    progress("draining");
    let in_force = in_force(lab);
    // A role that does not answer any more is judged by its end.
    let _ = load::settle(lab);
    let originated = laws::Originated::read(lab);
    let finals = lab.stop_roles();
    let links = LinkDrops::read(lab)?;
    facts.push(laws::clean_end(&finals));
    facts.push(laws::all_carried(lab.options(), &finals));
    facts.push(laws::counters(&finals));
    facts.push(laws::handed_over(
        lab.options(),
        &finals,
        &links,
        &originated,
    ));
    facts.push(laws::frames_home(&finals));
    if let Some(rekey) = &rekey {
        facts.push(rekey.accounted(&finals));
    }
    Ok(Survey {
        pairs,
        trunk,
        probe,
        probe_under_load: BothWays {
            there: there.as_ref().map(|busy| busy.probe.clone()),
            back: back.as_ref().map(|busy| busy.probe.clone()),
        },
        tcp: BothWays {
            there: there.map(|busy| busy.tcp),
            back: back.map(|busy| busy.tcp),
        },
        rekey,
        rates,
        in_force,
        finals,
        facts,
    })
}

/// A role that does not answer any more is judged by its end.
fn in_force(lab: &Lab) -> BTreeMap<Site, Nic> {
    let sites = lab.role_sites().into_iter();
    sites
        .filter_map(|site| Some((site, lab.status(site).ok()?.nic)))
        .collect()
}

/// A few packets on many flows, so that no later window meets a neighbour
/// that nobody has resolved yet. What is lost here is not judged.
fn wake(lab: &Lab, one: Site, two: Site) -> Result<()> {
    let few = probe::Plan {
        packets_per_flow: 5,
        rate: 1_000,
        ..probe::Plan::default()
    };
    probe::run(lab, one, two, &few)?;
    probe::run(lab, two, one, &few).map(drop)
}

/// A failed measurement becomes a claim that does not hold.
fn keep<T>(facts: &mut Vec<Fact>, key: &str, result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            facts.push(Fact::new(key, false, format!("not measured: {error:#}")));
            None
        }
    }
}

fn numbered(
    lab: &Lab,
    plan: &Plan,
    facts: &mut Vec<Fact>,
    key: &str,
    (from, to): (Site, Site),
    progress: &mut dyn FnMut(&str),
) -> Option<Probe> {
    progress(&format!("sending the numbered probe from {from} to {to}"));
    let probe = keep(facts, key, probe::run(lab, from, to, &plan.probe))?;
    facts.push(probe.fact(key));
    Some(probe)
}

/// Fills one direction; its facts, its figures, and the rates it shows.
fn busy(
    lab: &Lab,
    plan: &Plan,
    direction: Direction,
    facts: &mut Vec<Fact>,
    progress: &mut dyn FnMut(&str),
) -> Option<Busy> {
    let (tcp_key, order_key) = match direction {
        Direction::There => ("tcp-there", "order-under-load-there"),
        Direction::Back => ("tcp-back", "order-under-load-back"),
    };
    let (from, to) = direction.ends();
    progress(&format!(
        "iperf3 with {} streams for {} s from {from} to {to}, a thin probe beside it",
        plan.streams, plan.duration
    ));
    let measured = busy::run(lab, direction, plan.load());
    let busy = keep(facts, tcp_key, measured)?;
    facts.push(busy.tcp.fact(tcp_key));
    facts.push(busy.probe.order(order_key));
    Some(busy)
}
