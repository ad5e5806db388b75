//! All measurements on a lab with running roles, one after the other, then the drain and the invariants. A measurement that
//! fails becomes a fact that does not hold, and the survey continues.

use std::collections::BTreeMap;

use anyhow::Result;

use super::capture::{self, Trunk};
use super::direction::{Direction, PerDirection};
use super::invariants;
use super::iperf::{Load, Tcp};
use super::links::LinkDrops;
use super::pairs::{self, FlowPath};
use super::probe::{self, Probe};
use super::rekey::{self, Rekey};
use super::under_load::{self, UnderLoad};
use super::volumes::{self, Rate};
use crate::status::Nic;
use crate::{Fact, Lab, RoleExit, Site};

/// The extent of the measurements.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// TCP connections of iperf3.
    pub streams: u16,
    /// Seconds of iperf3 in each direction.
    pub duration: u32,
    /// The numbered probe, sent in each direction.
    pub probe: probe::Plan,
    /// Seconds between changes of all keys, in a measurement of their own; absent: no changes.
    pub rekey: Option<u32>,
}

impl Plan {
    fn load(&self) -> Load {
        Load::new(self.streams, self.duration)
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

/// The results of all measurements.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The gateways of single flows.
    pub pairs: Option<Vec<FlowPath>>,
    /// The trunk while a marked stream crossed it.
    pub trunk: Option<Trunk>,
    /// The numbered probe.
    pub probe: PerDirection<Probe>,
    /// A slow probe during iperf3, judged for order only.
    pub probe_under_load: PerDirection<Probe>,
    /// The figures of iperf3.
    pub tcp: PerDirection<Tcp>,
    /// The measurements during key changes, if there were any.
    pub rekey: Option<Rekey>,
    /// Rates of the gateways of VPC 1 and of VPC 2, in the order of the gateways.
    pub rates: [Vec<Rate>; 2],
    /// The NICs before the drain. The final status reports them without the XDP program.
    pub nics: BTreeMap<Site, Nic>,
    /// The end of each role.
    pub exits: Vec<RoleExit>,
    /// The facts in the order of the report.
    pub facts: Vec<Fact>,
}

impl Survey {
    /// Whether every fact holds.
    pub fn holds(&self) -> bool {
        self.facts.iter().all(|fact| fact.holds)
    }
}

/// Measures between the first hosts of the two VPCs, then stops the roles. Announces each step to `progress`.
pub fn run(lab: &mut Lab, plan: &Plan, progress: &mut dyn FnMut(&str)) -> Result<Survey> {
    let (one, two) = (Site::host(1, 1), Site::host(2, 1));
    let mut facts = Vec::new();

    progress("sending first packets through every gateway pair");
    warm_up(lab, one, two)?;

    progress("tracing single flows and their replies");
    let pairs = measured(&mut facts, "same-gateway-pair", pairs::run(lab, one, two));
    facts.extend(pairs.iter().map(|paths| pairs::fact(paths)));

    progress("capturing the trunk while a marked stream crosses it");
    let trunk = measured(&mut facts, "trunk-encrypted", capture::trunk(lab, one, two));
    if let Some(trunk) = &trunk {
        facts.push(trunk.arrived());
        facts.push(trunk.encrypted(lab.options()));
    }

    let probe = PerDirection {
        there: numbered_probe(lab, plan, &mut facts, "probe-there", (one, two), progress),
        back: numbered_probe(lab, plan, &mut facts, "probe-back", (two, one), progress),
    };

    let there = load_direction(lab, plan, Direction::There, &mut facts, progress);
    let back = load_direction(lab, plan, Direction::Back, &mut facts, progress);
    let rates = under_load::rates(there.as_ref(), back.as_ref(), lab.options().gateways);

    let rekey = match plan.rekey {
        None => None,
        Some(every) => {
            progress(&format!(
                "changing the keys of every gateway pair every {every} s, under load"
            ));
            measured(&mut facts, "rekeys", rekey::run(lab, plan.load(), every))
        }
    };
    if let Some(rekey) = &rekey {
        facts.extend(rekey.facts(lab.options()));
    }

    progress("draining");
    let nics = nics(lab);
    // A role that does not answer is judged by its exit.
    let _ = volumes::settle(lab);
    let exits = lab.stop_roles();
    let links = LinkDrops::read(lab)?;
    facts.push(invariants::clean_end(&exits));
    facts.push(invariants::all_carried(lab.options(), &exits));
    facts.push(invariants::counters(&exits));
    facts.push(invariants::handed_over(lab.options(), &exits, &links));
    facts.push(invariants::frames_home(&exits));
    if let Some(rekey) = &rekey {
        facts.push(rekey.accounted(&exits));
    }
    Ok(Survey {
        pairs,
        trunk,
        probe,
        probe_under_load: PerDirection {
            there: there.as_ref().map(|load| load.probe.clone()),
            back: back.as_ref().map(|load| load.probe.clone()),
        },
        tcp: PerDirection {
            there: there.map(|load| load.tcp),
            back: back.map(|load| load.tcp),
        },
        rekey,
        rates,
        nics,
        exits,
        facts,
    })
}

/// The NIC of each role that answers.
fn nics(lab: &Lab) -> BTreeMap<Site, Nic> {
    let sites = lab.role_sites().into_iter();
    sites
        .filter_map(|site| Some((site, lab.status(site).ok()?.nic)))
        .collect()
}

/// Sends a few packets on many flows, so that all neighbours are resolved before the measurements. Loss is not judged.
fn warm_up(lab: &Lab, one: Site, two: Site) -> Result<()> {
    let few = probe::Plan {
        packets_per_flow: 5,
        rate: 1_000,
        ..probe::Plan::default()
    };
    probe::run(lab, one, two, &few)?;
    probe::run(lab, two, one, &few).map(drop)
}

/// Records a failed measurement as a fact that does not hold.
fn measured<T>(facts: &mut Vec<Fact>, key: &str, result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            facts.push(Fact::new(key, false, format!("not measured: {error:#}")));
            None
        }
    }
}

fn numbered_probe(
    lab: &Lab,
    plan: &Plan,
    facts: &mut Vec<Fact>,
    key: &str,
    (from, to): (Site, Site),
    progress: &mut dyn FnMut(&str),
) -> Option<Probe> {
    progress(&format!("sending the numbered probe from {from} to {to}"));
    let probe = measured(facts, key, probe::run(lab, from, to, &plan.probe))?;
    facts.push(probe.fact(key));
    Some(probe)
}

/// Loads one direction, and records its facts.
fn load_direction(
    lab: &Lab,
    plan: &Plan,
    direction: Direction,
    facts: &mut Vec<Fact>,
    progress: &mut dyn FnMut(&str),
) -> Option<UnderLoad> {
    let (tcp_key, order_key) = match direction {
        Direction::There => ("tcp-there", "order-under-load-there"),
        Direction::Back => ("tcp-back", "order-under-load-back"),
    };
    let (from, to) = direction.ends();
    progress(&format!(
        "iperf3 with {} streams for {} s from {from} to {to}, with a slow probe",
        plan.streams, plan.duration
    ));
    let result = under_load::run(lab, direction, plan.load());
    let load = measured(facts, tcp_key, result)?;
    facts.push(load.tcp.fact(tcp_key));
    facts.push(load.probe.order(order_key));
    Some(load)
}
