//! The sums that must hold in the last words of the roles.

use std::collections::BTreeMap;

use crate::measure::links::LinkDrops;
use crate::options::{Options, Placement};
use crate::status::Reasons;
use crate::topology::{Site, carrier, gateway_name};
use crate::{Fact, Final, Lab, Status, Worker};

/// How many packets the worker of each gateway, by VPC and number, had made itself before the roles were asked to stop.
#[derive(Debug, Default)]
pub struct Originated(BTreeMap<(u8, u8), u64>);

impl Originated {
    /// Asks every role; one that does not answer is judged as if it made nothing from now on.
    pub fn read(lab: &Lab) -> Self {
        let of = |vpc| {
            let workers = lab.workers(vpc).unwrap_or_default();
            let each = (1..).zip(workers);
            each.map(move |(number, worker)| ((vpc, number), worker.originated))
        };
        Self([1, 2].into_iter().flat_map(of).collect())
    }

    /// What a worker has made since.
    fn since(&self, vpc: u8, number: u8, worker: &Worker) -> u64 {
        let before = self.0.get(&(vpc, number));
        before.map_or(0, |before| worker.originated.saturating_sub(*before))
    }
}

fn total(reasons: &Reasons) -> u64 {
    reasons.values().sum()
}

/// Every role spoke its last words and ended in order.
pub fn clean_end(finals: &[Final]) -> Fact {
    let problems: Vec<_> = finals
        .iter()
        .filter_map(|role| Some(format!("{}: {}", role.site, role.problem.as_ref()?)))
        .chain(undrained(finals))
        .collect();
    verdict(
        "roles-end-cleanly",
        !finals.is_empty(),
        format!("{} roles drained and exited with 0", finals.len()),
        problems,
    )
}

fn undrained(finals: &[Final]) -> Vec<String> {
    statuses(finals)
        .filter(|(_, status)| !status.drained)
        .map(|(site, _)| format!("{site}: did not drain in time"))
        .collect()
}

/// In = out + drops + punts, on every XDP program and every worker.
pub fn counters(finals: &[Final]) -> Fact {
    let mut problems = Vec::new();
    let (mut packets, mut roles) = (0, 0);
    for (site, status) in statuses(finals) {
        roles += 1;
        packets += status.steering.received;
        problems.extend(sums(site, status));
    }
    verdict(
        "counters-add-up",
        roles == finals.len() && packets > 0,
        format!("{packets} packets on {roles} roles, each sent, dropped or punted once"),
        problems,
    )
}

fn sums(site: Site, status: &Status) -> Vec<String> {
    let steering = &status.steering;
    let mut problems = Vec::new();
    let mut equal = |what: String, left: u64, right: u64| {
        if left != right {
            problems.push(format!("{site}: {what}: {left} is not {right}"));
        }
    };
    equal(
        "received = to worker + to gateway + drops + punts".to_owned(),
        steering.received,
        steering.to_worker + steering.to_gateway + total(&steering.drops) + total(&steering.punts),
    );
    if !status.workers.is_empty() {
        equal(
            "to worker = workers' received + kernel drops".to_owned(),
            steering.to_worker,
            status
                .workers
                .iter()
                .map(|worker| worker.received + total(&worker.kernel_drops))
                .sum(),
        );
    }
    for worker in &status.workers {
        equal(
            format!("{}: received = sent + drops + waiting", worker.gateway),
            worker.received,
            worker.sent + total(&worker.drops) + worker.waiting,
        );
    }
    problems
}

/// After the drain no frame is outside.
pub fn frames_home(finals: &[Final]) -> Fact {
    let (mut frames, mut problems) = (0, Vec::new());
    for (site, worker) in workers(finals) {
        frames += worker.frames.total;
        if worker.frames.home != worker.frames.total {
            problems.push(format!(
                "{site}: {}: {} of {} frames are home",
                worker.gateway, worker.frames.home, worker.frames.total
            ));
        }
    }
    let figure = format!("{frames} of {frames} frames");
    verdict("frames-home", frames > 0, figure, problems)
}

/// Every gateway of both VPCs sealed and opened packets.
pub fn all_carried(options: &Options, finals: &[Final]) -> Fact {
    let expected = 2 * usize::from(options.gateways);
    let (mut seen, mut problems, mut least) = (0, Vec::new(), u64::MAX);
    for (site, worker) in workers(finals) {
        seen += 1;
        let fewest = worker.sealed.packets.min(worker.opened.packets);
        least = least.min(fewest);
        if fewest == 0 {
            problems.push(format!(
                "{site}: {} sealed {} and opened {} packets",
                worker.gateway, worker.sealed.packets, worker.opened.packets
            ));
        }
    }
    verdict(
        "every-gateway-carried",
        seen == expected,
        format!("{seen} of {expected} gateways; the least busy way moved {least} packets"),
        problems,
    )
}

/// What one role passed on, the next one got: the demux's count for a gateway
/// against what that gateway sealed, and what was sealed against what the peer
/// opened. A difference must be covered by drops that somebody counted. Local gateways end with their demuxes, of
/// which one is the first, and nobody counts what the other's markers then meet.
pub fn handed_over(
    options: &Options,
    finals: &[Final],
    links: &LinkDrops,
    before: &Originated,
) -> Fact {
    let mut problems = Vec::new();
    let (mut passed, mut missing) = (0, 0);
    let mut compare = |what: String, given: u64, taken: u64, excuse: u64| {
        passed += given;
        missing += given.saturating_sub(taken);
        if taken > given || given - taken > excuse {
            problems.push(format!(
                "{what}: {given} given, {taken} taken, {excuse} drops counted"
            ));
        }
    };
    let mut compared = 0;
    for number in 1..=options.gateways {
        for vpc in [1, 2] {
            let (Some(near), Some(far)) = (
                worker(options, finals, vpc, number),
                worker(options, finals, 3 - vpc, number),
            ) else {
                continue;
            };
            compared += 1;
            if options.placement == Placement::Remote {
                let site = carrier(options, vpc, number);
                // What the worker made itself is sealed too, such as the demux's markers. Only its
                // answers to packets that it dropped are not.
                compare(
                    format!("{} to {site}", Site::demux(vpc)),
                    demux_count(finals, vpc, number) + near.1.originated,
                    near.1.sealed.packets,
                    counted(near) + total(&near.1.drops) + links.towards(site),
                );
            }
            let unheard = match options.placement {
                Placement::Local => before.since(vpc, number, near.1),
                Placement::Remote => 0,
            };
            compare(
                format!("{} of VPC {vpc} to its peer", gateway_name(number)),
                near.1.sealed.packets,
                far.1.opened.packets,
                counted(near) + counted(far) + links.total() + unheard,
            );
        }
    }
    verdict(
        "handed-over",
        compared == 2 * usize::from(options.gateways) && passed > 0,
        format!(
            "{passed} packets given from role to role, {missing} lost on the way and counted as drops"
        ),
        problems,
    )
}

/// Drops that a gateway's own counters tell of.
fn counted((status, worker): (&Status, &Worker)) -> u64 {
    total(&status.steering.drops)
        + total(&worker.drops)
        + total(&worker.kernel_drops)
        + worker.waiting
}

fn demux_count(finals: &[Final], vpc: u8, number: u8) -> u64 {
    let name = gateway_name(number);
    statuses(finals)
        .filter(|(site, _)| *site == Site::demux(vpc))
        .flat_map(|(_, status)| &status.steering.gateways)
        .filter(|gateway| gateway.name == name)
        .map(|gateway| gateway.packets)
        .sum()
}

fn worker<'a>(
    options: &Options,
    finals: &'a [Final],
    vpc: u8,
    number: u8,
) -> Option<(&'a Status, &'a Worker)> {
    let site = carrier(options, vpc, number);
    let (_, status) = statuses(finals).find(|(at, _)| *at == site)?;
    let name = gateway_name(number);
    let worker = status
        .workers
        .iter()
        .find(|worker| worker.gateway == name)?;
    Some((status, worker))
}

fn statuses(finals: &[Final]) -> impl Iterator<Item = (Site, &Status)> {
    finals
        .iter()
        .filter_map(|role| Some((role.site, role.status.as_ref()?)))
}

fn workers(finals: &[Final]) -> impl Iterator<Item = (Site, &Worker)> {
    statuses(finals)
        .flat_map(|(site, status)| status.workers.iter().map(move |worker| (site, worker)))
}

/// Holds if there was something to judge and nothing against it.
fn verdict(key: &str, judged: bool, figure: String, problems: Vec<String>) -> Fact {
    let holds = judged && problems.is_empty();
    if problems.is_empty() {
        Fact::new(key, holds, figure)
    } else {
        Fact::new(key, holds, problems.join("; "))
    }
}

#[cfg(test)]
mod tests;
