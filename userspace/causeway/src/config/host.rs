//! The plan against the host: what only this machine can tell.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use causeway_steering::{MAX_ADDRESSES, MAX_QUEUES};
use ipnet::Ipv4Net;

use super::error::Report;
use super::file::File;
use super::plan::Plan;

/// The largest MTU in bytes of a NIC that a native XDP program without multi-buffer works on: a
/// page of 4096, less 256 of headroom, 320 of the kernel's `skb_shared_info` behind the packet, and
/// 22 for the Ethernet header with a VLAN tag and FCS. AWS ENA draws the line at the same number.
pub const MAX_MTU: u32 = 4096 - 256 - 320 - 22;
/// Below this an IPv4 packet of 576 bytes, which every host takes (RFC 791), does not fit into
/// the tunnel: 20 + 8 + 8 + 8 + 2 + 16 bytes around it, and up to 3 of padding.
pub const MIN_MTU: u32 = 576 + 65;

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
        /// Its IPv4 addresses with their subnets.
        addresses: Vec<Ipv4Net>,
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
            nic(file, name, *up, *mtu, *rx_queues, report);
            own_addresses(file, plan, addresses, report);
            gateways(file, plan, addresses, report);
        }
    }
}

fn nic(file: &File, name: &str, up: bool, mtu: u32, rx_queues: u32, report: &mut Report<'_>) {
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
    if mtu < MIN_MTU {
        report.refuse(
            at.clone(),
            "nic.name",
            format_args!(
                "the MTU of {name} is {mtu}; at least {MIN_MTU} carries a packet of 576 bytes \
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

fn own_addresses(file: &File, plan: &Plan, addresses: &[Ipv4Net], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    if addresses.is_empty() {
        report.refuse(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "{name} has no IPv4 address; try: ip address add <address>/<length> dev {name}"
            ),
        );
    }
    if addresses.len() > MAX_ADDRESSES as usize {
        report.refuse(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "{name} has {} IPv4 addresses; at most {MAX_ADDRESSES} are told from the peers'",
                addresses.len()
            ),
        );
    }
    for (index, (peering, written)) in plan.peerings.iter().zip(&file.peering).enumerate() {
        for prefix in &peering.prefixes {
            if let Some(own) = addresses.iter().find(|own| prefix.contains(&own.addr())) {
                report.refuse(
                    written.get_ref().prefixes.span(),
                    format_args!("peering[{index}].prefixes"),
                    format_args!(
                        "{prefix} holds {}, an address of {name}; a peer's prefixes must lie \
                         elsewhere",
                        own.addr()
                    ),
                );
            }
        }
    }
}

fn gateways(file: &File, plan: &Plan, addresses: &[Ipv4Net], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    let has = |address: Ipv4Addr| addresses.iter().any(|own| own.addr() == address);
    for (index, (gateway, written)) in plan.gateways.iter().zip(&file.gateway).enumerate() {
        let Some(at) = &written.get_ref().address else {
            continue;
        };
        let address = gateway.address;
        let field = format!("gateway[{index}].address");
        if gateway.is_local() {
            if !has(address) {
                report.refuse(
                    at.span(),
                    field,
                    format_args!(
                        "{address} is not an address of {name} (it has {}); packets from the peer \
                         would not arrive. Try: ip address add {address}/32 dev {name}",
                        join(addresses)
                    ),
                );
            }
        } else if has(address) {
            report.refuse(
                at.span(),
                field,
                format_args!(
                    "{address} is an address of {name} itself; a gateway on this host wants \
                     [[gateway.worker]] sections"
                ),
            );
        } else if !addresses.iter().any(|own| own.contains(&address)) {
            let subnets: Vec<_> = addresses.iter().map(Ipv4Net::trunc).collect();
            report.refuse(
                at.span(),
                field,
                format_args!(
                    "{address} is outside {}, the subnet of {name}; the demux reaches its gateways \
                     by MAC address, so they share its subnet",
                    join(&subnets)
                ),
            );
        }
    }
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

fn join<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let items: Vec<_> = items.iter().map(T::to_string).collect();
    items.join(", ")
}
