//! The plan against the host: what only this machine can tell.

use std::collections::HashMap;

use causeway_steering::MAX_QUEUES;
use ipnet::IpNet;

use super::addresses::{self, is_ipv6};
use super::error::Report;
use super::file::File;
use super::plan::Plan;

/// The largest MTU in bytes of a NIC that a native XDP program without multi-buffer works on: a
/// page of 4096, less 256 of headroom, 320 of the kernel's `skb_shared_info` behind the packet, and
/// 22 for the Ethernet header with a VLAN tag and FCS. AWS ENA draws the line at the same number.
pub const MAX_MTU: u32 = 4096 - 256 - 320 - 22;
/// What a tunnel must carry at least: every host takes an IPv4 packet of 576 bytes (RFC 791), and
/// every IPv6 link carries one of 1280 (RFC 8200 section 5).
const LEAST_IPV4: u32 = 576;
const LEAST_IPV6: u32 = 1280;
/// What an IPv4 tunnel adds: 20 + 8 + 8 + 8 + 2 + 16 bytes, and up to 3 of padding. IPv6's header is
/// 20 bytes longer.
const OVERHEAD_IPV4: u32 = 65;
const OVERHEAD_IPV6: u32 = OVERHEAD_IPV4 + 20;

/// What the host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The NIC of the configuration.
    pub nic: NicFacts,
    /// The cores that this process may run on.
    pub cores: Vec<usize>,
}

/// A NIC, if it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NicFacts {
    /// It does.
    Present {
        /// Whether it is administratively up.
        up: bool,
        /// The largest IP packet, in bytes.
        mtu: u32,
        /// Receive queues in use.
        rx_queues: u32,
        /// Its addresses with their subnets.
        addresses: Vec<IpNet>,
    },
    /// It does not.
    Absent {
        /// The names of those that do, separated by commas.
        existing: String,
    },
}

pub(super) fn check(file: &File, plan: &Plan, facts: &HostFacts, report: &mut Report<'_>) {
    cores(file, facts, report);
    let name = &plan.nic.name;
    match &facts.nic {
        NicFacts::Absent { existing } => report.refuse(
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
        report.refuse(
            at.clone(),
            "nic.name",
            format_args!("{name} is down; try: ip link set dev {name} up"),
        );
    }
    if mtu > MAX_MTU {
        report.refuse(
            at.clone(),
            "nic.name",
            format_args!(
                "the MTU of {name} is {mtu}; XDP takes at most {MAX_MTU}, because packet, headroom \
                 and the kernel's own share must fit into one page. Try: ip link set dev {name} \
                 mtu {MAX_MTU}"
            ),
        );
    }
    let (least, needed) = tunnel_need(plan);
    if mtu < needed {
        report.refuse(
            at.clone(),
            "nic.name",
            format_args!(
                "the MTU of {name} is {mtu}; at least {needed} carries a packet of {least} bytes \
                 through a tunnel"
            ),
        );
    }
    if rx_queues > MAX_QUEUES {
        report.refuse(
            at,
            "nic.name",
            format_args!(
                "{name} has {rx_queues} receive queues; at most {MAX_QUEUES} are served, and \
                 packets on the others would be lost. Try: ethtool -L {name} combined {MAX_QUEUES}"
            ),
        );
    }
}

/// The packet that the tunnels must carry at least, and the MTU that it needs, in bytes.
pub fn tunnel_need(plan: &Plan) -> (u32, u32) {
    let mut prefixes = plan
        .peerings
        .iter()
        .flat_map(|peering| &peering.prefixes)
        .chain(&plan.vpc_prefixes);
    let least = if prefixes.any(is_ipv6) {
        LEAST_IPV6
    } else {
        LEAST_IPV4
    };
    let over_ipv6 = plan
        .gateways
        .iter()
        .any(|gateway| gateway.address.is_ipv6());
    let overhead = if over_ipv6 {
        OVERHEAD_IPV6
    } else {
        OVERHEAD_IPV4
    };
    (least, least + overhead)
}

fn cores(file: &File, facts: &HostFacts, report: &mut Report<'_>) {
    // Core to the field, the line and whether its worker spins.
    let mut taken: HashMap<usize, (String, usize, bool)> = HashMap::new();
    for (gateway_index, gateway) in file.gateway.iter().enumerate() {
        for (index, worker) in gateway.get_ref().worker.iter().enumerate() {
            let Some(core) = &worker.get_ref().core else {
                continue;
            };
            let field = format!("gateway[{gateway_index}].worker[{index}].core");
            let number = *core.get_ref();
            if !facts.cores.contains(&number) {
                report.refuse(
                    core.span(),
                    &field,
                    format_args!(
                        "core {number} does not exist or is not open to this process; there are: {}",
                        join(&facts.cores)
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
            let sentence =
                format!("core {number} is pinned by {other} (line {other_line}) as well");
            if spin || other_spins {
                report.refuse(
                    core.span(),
                    field,
                    format_args!("{sentence}; a worker that spins leaves the other no time"),
                );
            } else {
                report.warn(
                    core.span(),
                    field,
                    format_args!("{sentence}; the two share its time"),
                );
            }
        }
    }
}

pub(super) fn join<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let items: Vec<_> = items.iter().map(T::to_string).collect();
    items.join(", ")
}
