//! The invariants of the final status documents of all roles.

use crate::measure::links::LinkDrops;
use crate::options::{Options, Placement};
use crate::status::{Reasons, Status, Worker};
use crate::topology::{Site, gateway_name, gateway_site};
use crate::{Fact, RoleExit};

fn total(reasons: &Reasons) -> u64 {
    reasons.values().sum()
}

/// Holds if every role drained, printed its final status and exited with 0.
pub fn clean_end(exits: &[RoleExit]) -> Fact {
    let problems: Vec<_> = exits
        .iter()
        .filter_map(|role| Some(format!("{}: {}", role.site, role.problem.as_ref()?)))
        .chain(undrained(exits))
        .collect();
    verdict(
        "roles-end-cleanly",
        !exits.is_empty(),
        format!("{} roles drained and exited with 0", exits.len()),
        problems,
    )
}

fn undrained(exits: &[RoleExit]) -> Vec<String> {
    statuses(exits)
        .filter(|(_, status)| !status.drained)
        .map(|(site, _)| format!("{site}: did not drain in time"))
        .collect()
}

/// Holds if in = out + drops + punts for every XDP program and every worker.
pub fn counters(exits: &[RoleExit]) -> Fact {
    let mut problems = Vec::new();
    let (mut packets, mut roles) = (0, 0);
    for (site, status) in statuses(exits) {
        roles += 1;
        packets += status.steering.received;
        problems.extend(sums(site, status));
    }
    verdict(
        "counters-add-up",
        roles == exits.len() && packets > 0,
        format!("{packets} packets on {roles} roles, each sent, dropped or punted once"),
        problems,
    )
}

fn sums(site: Site, status: &Status) -> Vec<String> {
    let steering = &status.steering;
    let mut problems = Vec::new();
    let mut equal = |sum: String, left: u64, right: u64| {
        if left != right {
            problems.push(format!("{site}: {sum}: {left} != {right}"));
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

/// Holds if every frame has returned after the drain.
pub fn frames_home(exits: &[RoleExit]) -> Fact {
    let (mut frames, mut problems) = (0, Vec::new());
    for (site, worker) in workers(exits) {
        frames += worker.frames.total;
        if worker.frames.home != worker.frames.total {
            problems.push(format!(
                "{site}: {}: {} of {} frames returned",
                worker.gateway, worker.frames.home, worker.frames.total
            ));
        }
    }
    let figure = format!("{frames} of {frames} frames returned");
    verdict("frames-home", frames > 0, figure, problems)
}

/// Holds if every gateway of both VPCs sealed and opened packets.
pub fn all_carried(options: &Options, exits: &[RoleExit]) -> Fact {
    let expected = 2 * usize::from(options.gateways);
    let (mut seen, mut problems, mut least) = (0, Vec::new(), u64::MAX);
    for (site, worker) in workers(exits) {
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
        format!("{seen} of {expected} gateways, at least {least} packets each in each direction"),
        problems,
    )
}

/// Holds if each role received the packets that the role before it sent.
///
/// Compares the demux's count for a gateway with the packets that the gateway sealed, and these with the packets that the
/// peer opened. Counted drops must cover each difference.
pub fn handed_over(options: &Options, exits: &[RoleExit], links: &LinkDrops) -> Fact {
    let mut problems = Vec::new();
    let (mut sent, mut missing) = (0, 0);
    let mut compare = |link: String, given: u64, taken: u64, excuse: u64| {
        sent += given;
        missing += given.saturating_sub(taken);
        if taken > given || given - taken > excuse {
            problems.push(format!(
                "{link}: {given} sent, {taken} received, {excuse} drops counted"
            ));
        }
    };
    let mut compared = 0;
    for number in 1..=options.gateways {
        for vpc in [1, 2] {
            let (Some(near), Some(far)) = (
                worker(options, exits, vpc, number),
                worker(options, exits, 3 - vpc, number),
            ) else {
                continue;
            };
            compared += 1;
            if options.placement == Placement::Remote {
                let site = gateway_site(options, vpc, number);
                // The worker also seals packets that it originates, such as markers. It does not seal its ICMP errors
                // for dropped packets.
                compare(
                    format!("{} to {site}", Site::demux(vpc)),
                    demux_count(exits, vpc, number) + near.1.originated,
                    near.1.sealed.packets,
                    counted(near) + total(&near.1.drops) + links.towards(site),
                );
            }
            let (sealed, opened) = match options.placement {
                // Gateways end after their demux, so every message is opened.
                Placement::Remote => (near.1.sealed.packets, far.1.opened.packets),
                Placement::Local => (data_sealed(near.1), data_opened(far.1)),
            };
            compare(
                format!("{} of VPC {vpc} to its peer", gateway_name(number)),
                sealed,
                opened,
                counted(near) + counted(far) + links.total(),
            );
        }
    }
    verdict(
        "handed-over",
        compared == 2 * usize::from(options.gateways) && sent > 0,
        format!(
            "{sent} packets sent from role to role, {missing} of them lost and counted as drops"
        ),
        problems,
    )
}

/// Sealed packets without peer messages. Local gateways end with their demux, so the demux that ends first does not
/// count the messages that the other one still sends. No host sends by then.
fn data_sealed(worker: &Worker) -> u64 {
    worker.sealed.packets - worker.control_sealed
}

/// Opened packets without peer messages, delivered or dropped.
fn data_opened(worker: &Worker) -> u64 {
    let dropped = worker.drops.get("control-queue-full");
    worker.opened.packets - worker.control_packets - dropped.copied().unwrap_or(0)
}

/// The drops in a gateway's own counters.
fn counted((status, worker): (&Status, &Worker)) -> u64 {
    total(&status.steering.drops)
        + total(&worker.drops)
        + total(&worker.kernel_drops)
        + worker.waiting
}

fn demux_count(exits: &[RoleExit], vpc: u8, number: u8) -> u64 {
    let name = gateway_name(number);
    statuses(exits)
        .filter(|(site, _)| *site == Site::demux(vpc))
        .flat_map(|(_, status)| &status.steering.gateways)
        .filter(|gateway| gateway.name == name)
        .map(|gateway| gateway.packets)
        .sum()
}

fn worker<'a>(
    options: &Options,
    exits: &'a [RoleExit],
    vpc: u8,
    number: u8,
) -> Option<(&'a Status, &'a Worker)> {
    let site = gateway_site(options, vpc, number);
    let (_, status) = statuses(exits).find(|(at, _)| *at == site)?;
    let name = gateway_name(number);
    let worker = status
        .workers
        .iter()
        .find(|worker| worker.gateway == name)?;
    Some((status, worker))
}

fn statuses(exits: &[RoleExit]) -> impl Iterator<Item = (Site, &Status)> {
    exits
        .iter()
        .filter_map(|role| Some((role.site, role.status.as_ref()?)))
}

fn workers(exits: &[RoleExit]) -> impl Iterator<Item = (Site, &Worker)> {
    statuses(exits)
        .flat_map(|(site, status)| status.workers.iter().map(move |worker| (site, worker)))
}

/// A fact that holds if something was judged and no problem was found.
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
