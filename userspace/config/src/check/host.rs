//! Checks of the plan against the NIC and the cores of the host.

use std::collections::HashMap;

use causeway_steering::MAX_QUEUES;

use super::addresses;
use crate::facts::{HostFacts, NicFacts};
use crate::file::File;
use crate::mtu::{MAX_MTU, tunnel_need};
use crate::plan::Plan;
use crate::report::{Report, list};

pub(crate) fn check(file: &File, plan: &Plan, facts: &HostFacts, report: &mut Report<'_>) {
    cores(file, facts, report);
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
        } => {
            nic(file, plan, *up, *mtu, *rx_queues, report);
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

fn cores(file: &File, facts: &HostFacts, report: &mut Report<'_>) {
    // By core: the field, its line, and whether the worker spins.
    let mut taken: HashMap<usize, (String, usize, bool)> = HashMap::new();
    for (gateway_index, gateway) in file.gateway.iter().enumerate() {
        for (index, worker) in gateway.get_ref().worker.iter().enumerate() {
            let Some(core) = &worker.get_ref().core else {
                continue;
            };
            let field = format!("gateway[{gateway_index}].worker[{index}].core");
            let number = *core.get_ref();
            if !facts.cores.contains(&number) {
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
