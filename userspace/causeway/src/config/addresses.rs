//! The plan's addresses and prefixes against those of the NIC.

use std::net::IpAddr;

use causeway_routes::is_link_local;
use causeway_steering::MAX_ADDRESSES;
use ipnet::IpNet;

use super::error::Report;
use super::file::File;
use super::host::join;
use super::plan::{Gateway, Plan};

pub(super) fn check(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    own(file, plan, addresses, report);
    families(file, plan, addresses, report);
    neighbours(file, plan, addresses, report);
    prefixes(file, plan, addresses, report);
    gateways(file, plan, addresses, report);
    demuxes(file, plan, addresses, report);
}

/// Whether a prefix is of IPv6.
pub(super) fn is_ipv6(prefix: &IpNet) -> bool {
    prefix.addr().is_ipv6()
}

/// The addresses that are known beyond their link. The kernel gives every NIC a link-local IPv6
/// address, which nobody beyond can answer.
fn routed(addresses: &[IpNet]) -> impl Iterator<Item = &IpNet> {
    addresses.iter().filter(|own| !is_link_local(own.addr()))
}

fn own(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    if routed(addresses).next().is_none() {
        report.refuse(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "{name} has no address but link-local ones; try: ip address add <address>/<length> dev {name}"
            ),
        );
    }
    if addresses.len() > MAX_ADDRESSES as usize {
        report.refuse(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "{name} has {} addresses; at most {MAX_ADDRESSES} are told from the peers'",
                addresses.len()
            ),
        );
    }
}

/// A gateway answers the senders of its side in their family.
fn families(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    let seals = plan.gateways.iter().any(Gateway::is_local);
    let spoken = |prefix: &IpNet| routed(addresses).any(|own| is_ipv6(own) == is_ipv6(prefix));
    if seals && let Some(prefix) = plan.vpc_prefixes.iter().find(|prefix| !spoken(prefix)) {
        let family = if is_ipv6(prefix) { "IPv6" } else { "IPv4" };
        report.refuse(
            file.vpc.prefixes.span(),
            "vpc.prefixes",
            format_args!(
                "{name} has no {family} address but {prefix} has; a gateway tells the senders there \
                 by ICMP, from an address of their family, what a tunnel does not carry. Try: ip \
                 address add <address>/<length> dev {name}"
            ),
        );
    }
}

/// The kernel asks for IPv6 neighbours from the NIC's link-local address.
fn neighbours(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    let seals = plan.gateways.iter().any(Gateway::is_local);
    let delivers = seals && plan.vpc_prefixes.iter().any(is_ipv6);
    let sends = plan.gateways.iter().any(|each| each.address.is_ipv6());
    let asks = |own: &IpNet| is_ipv6(own) && is_link_local(own.addr());
    if (delivers || sends) && !addresses.iter().any(asks) {
        report.refuse(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "{name} has no IPv6 link-local address, from which the kernel asks for its \
                 neighbours (RFC 4861 section 7.2.2); no IPv6 packet would find its next hop. Try: \
                 ip link set {name} addrgenmode eui64, then set it down and up"
            ),
        );
    }
}

fn prefixes(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
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

/// A demux's markers come from an address that the peer's gateways let through.
fn demuxes(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    for (index, (peering, written)) in plan.peerings.iter().zip(&file.peering).enumerate() {
        let (Some(demux), Some(at)) = (peering.demux, &written.get_ref().demux) else {
            continue;
        };
        if plan.marker_source(demux, addresses).is_none() {
            let family = if demux.is_ipv6() { "IPv6" } else { "IPv4" };
            report.refuse(
                at.span(),
                format_args!("peering[{index}].demux"),
                format_args!(
                    "{name} has no {family} address in vpc.prefixes from which markers could go to \
                     {demux}; name the peer's demux by an address of the other family, or add the \
                     subnet of {name} to vpc.prefixes in both VPCs"
                ),
            );
        }
    }
}

/// Whether the subnets say that `address` is on the link. An IPv6 address without a subnet leaves
/// that to the router's word (RFC 5942), which only the kernel's routes have.
fn on_link(addresses: &[IpNet], address: IpAddr) -> bool {
    let bare = |own: &IpNet| is_ipv6(own) && own.prefix_len() == own.max_prefix_len();
    addresses
        .iter()
        .any(|own| own.contains(&address) || (address.is_ipv6() && bare(own)))
}

fn gateways(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    let has = |address: IpAddr| addresses.iter().any(|own| own.addr() == address);
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
                         would not arrive. Try: ip address add {address}/{} dev {name}",
                        join(addresses),
                        IpNet::from(address).prefix_len()
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
        } else if !on_link(addresses, address) {
            let subnets: Vec<_> = routed(addresses).map(IpNet::trunc).collect();
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
