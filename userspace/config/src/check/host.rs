//! Checks of the plan against the NIC and the cores of the host.

use std::collections::HashMap;

use causeway_esp::Tfc;
use causeway_steering::MAX_QUEUES;

use super::tunnels::tunnels;
use super::{addresses, files};
use crate::facts::{HostFacts, NicFacts};
use crate::file::File;
use crate::mtu::{MAX_MTU, tunnel_mtu, tunnel_need};
use crate::plan::Plan;
use crate::report::{Report, list};

pub(crate) fn check(file: &File, plan: &Plan, facts: &HostFacts, report: &mut Report<'_>) {
    cores(file, facts, report);
    files::check(file, plan, report);
    if let (Some(error), Some(http)) = (&facts.listen, &file.http)
        && !facts.role_runs
    {
        report.error(
            http.listen.span(),
            "http.listen",
            format_args!(
                "cannot listen on {}: {error}. See who does with `ss -ltnp`, or write another address",
                http.listen.get_ref()
            ),
        );
    }
    let name = &plan.nic.name;
    match &facts.nic {
        NicFacts::Absent { existing } => report.error(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "there is no interface {name} in this network namespace; there are: {existing}"
            ),
        ),
        NicFacts::Present {
            up,
            mtu,
            rx_queues,
            addresses,
            xdp_program,
        } => {
            if let Some(id) = xdp_program
                && !facts.role_runs
            {
                other_program(file, plan, *id, report);
            }
            padding(file, plan, *mtu, report);
            nic(file, plan, *up, *mtu, *rx_queues, report);
            workers(file, plan, *rx_queues, report);
            open_files(file, plan, *rx_queues, facts.open_files, report);
            addresses::check(file, plan, addresses, report);
        }
    }
}

fn nic(file: &File, plan: &Plan, up: bool, mtu: u32, rx_queues: u32, report: &mut Report<'_>) {
    let name = &plan.nic.name;
    let at = file.nic.name.span();
    if !up {
        report.error(
            at.clone(),
            "nic.name",
            format_args!("{name} is down; try: ip link set dev {name} up"),
        );
    }
    if mtu > MAX_MTU {
        report.error(
            at.clone(),
            "nic.name",
            format_args!(
                "the MTU of {name} is {mtu}; XDP takes at most {MAX_MTU}, because packet, headroom \
                 and the kernel's skb_shared_info must fit into one page. Try: ip link set dev \
                 {name} mtu {MAX_MTU}"
            ),
        );
    }
    let (least, needed) = tunnel_need(plan);
    if mtu < needed {
        report.error(
            at.clone(),
            "nic.name",
            format_args!(
                "the MTU of {name} is {mtu}; a packet of {least} bytes in a tunnel needs at least \
                 {needed}. Try: ip link set dev {name} mtu {needed}"
            ),
        );
    }
    if rx_queues > MAX_QUEUES {
        report.error(
            at,
            "nic.name",
            format_args!(
                "{name} has {rx_queues} receive queues; at most {MAX_QUEUES} are served, and \
                 packets on the others would be dropped. Try: ethtool -L {name} combined {MAX_QUEUES}"
            ),
        );
    }
}

/// A NIC has one XDP program.
fn other_program(file: &File, plan: &Plan, id: u32, report: &mut Report<'_>) {
    let name = &plan.nic.name;
    report.error(
        file.nic.name.span(),
        "nic.name",
        format_args!(
            "another XDP program is attached to {name} (see it with: bpftool prog show id {id}); a NIC has \
             only one. Stop its owner, or try: ip link set dev {name} xdp off"
        ),
    );
}

/// A packet that is padded to more than the tunnel's MTU cannot be sent.
fn padding(file: &File, plan: &Plan, mtu: u32, report: &mut Report<'_>) {
    for (field, tunnel, written) in tunnels(file, plan) {
        let most = tunnel_mtu(tunnel, mtu);
        if let (Tfc::PadTo(length), Some(at)) = (tunnel.settings.tfc, &written.tfc_pad_to)
            && length > most as usize
        {
            report.error(
                at.span(),
                format_args!("{field}.tfc-pad-to"),
                format_args!(
                    "{length} exceeds {most}, the MTU of the tunnel over {}; write at most {most}",
                    plan.nic.name
                ),
            );
        }
    }
}

/// The worker of a packet is chosen by its receive queue.
fn workers(file: &File, plan: &Plan, rx_queues: u32, report: &mut Report<'_>) {
    for (index, (gateway, written)) in plan.gateways.iter().zip(&file.gateway).enumerate() {
        let count = gateway.workers.len();
        if count > rx_queues as usize {
            report.error(
                written.span(),
                format!("gateway[{index}].worker"),
                format_args!(
                    "{} has {count} workers and {} has {rx_queues} receive queues; each worker needs \
                     one of its own. Remove workers, or try: ethtool -L {} combined {count}",
                    gateway.name, plan.nic.name, plan.nic.name
                ),
            );
        }
    }
}

/// Compares the hard limit with what the role opens at most. A start raises the soft limit to the hard one.
fn open_files(
    file: &File,
    plan: &Plan,
    rx_queues: u32,
    limit: Option<u64>,
    report: &mut Report<'_>,
) {
    /// Maps and links of the program, listeners, connections of clients, and files that are open for a moment.
    const ROLE: u64 = 256;
    /// Wake-ups of a worker.
    const WORKER: u64 = 8;
    /// A worker's sockets on a queue.
    const SOCKETS: u64 = 4;
    /// Key files and reservations of a tunnel, during a change of keys too.
    const TUNNEL: u64 = 8;
    let (mut workers, mut tunnels) = (0, 0);
    for (_, worker) in plan.workers() {
        workers += 1;
        tunnels += worker.tunnels.len() as u64;
    }
    let sockets = workers * u64::from(rx_queues.min(MAX_QUEUES)) * SOCKETS;
    let needed = ROLE + workers * WORKER + sockets + tunnels * TUNNEL;
    if let Some(limit) = limit
        && limit < needed
    {
        report.error(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "the hard limit of open files (RLIMIT_NOFILE) is {limit}; {workers} workers on \
                 {rx_queues} queues with {tunnels} tunnels need {needed}. Raise it: \
                 LimitNOFILE={needed} in the service, or ulimit -Hn {needed}"
            ),
        );
    }
}

fn cores(file: &File, facts: &HostFacts, report: &mut Report<'_>) {
    // By core: the field, its line, and whether the worker spins.
    let mut taken: HashMap<i64, (String, usize, bool)> = HashMap::new();
    for (gateway_index, gateway) in file.gateway.iter().enumerate() {
        for (index, worker) in gateway.get_ref().worker.iter().enumerate() {
            let Some(core) = &worker.get_ref().core else {
                continue;
            };
            let field = format!("gateway[{gateway_index}].worker[{index}].core");
            let number = *core.get_ref();
            if !facts.cores.iter().any(|&core| core as i64 == number) {
                report.error(
                    core.span(),
                    &field,
                    format_args!(
                        "core {number} does not exist or is not in this process's CPU affinity; \
                         there are: {}",
                        list(&facts.cores)
                    ),
                );
            }
            let spin = worker.get_ref().spin;
            let line = report.line(core.span());
            let Some((other, other_line, other_spins)) =
                taken.insert(number, (field.clone(), line, spin))
            else {
                continue;
            };
            let shared = format!("core {number} is already used by {other} (line {other_line})");
            if spin || other_spins {
                report.error(
                    core.span(),
                    field,
                    format_args!(
                        "{shared}; a worker with `spin` takes all time of its core: choose another \
                         core"
                    ),
                );
            } else {
                report.warn(
                    core.span(),
                    field,
                    format_args!("{shared}; both workers share the core's time"),
                );
            }
        }
    }
}
