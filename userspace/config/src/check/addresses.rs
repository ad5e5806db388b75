//! Checks of the plan's addresses and prefixes against the addresses of the NIC.

use std::net::IpAddr;

use causeway_routes::is_link_local;
use causeway_steering::MAX_ADDRESSES;
use ipnet::IpNet;

use crate::convert::is_reserved;
use crate::file::File;
use crate::plan::{Gateway, Plan};
use crate::report::{Report, list};

pub(crate) fn check(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    own(file, plan, addresses, report);
    families(file, plan, addresses, report);
    neighbours(file, plan, addresses, report);
    prefixes(file, plan, addresses, report);
    gateways(file, plan, addresses, report);
    demuxes(file, plan, addresses, report);
}

fn is_ipv6(prefix: &IpNet) -> bool {
    prefix.addr().is_ipv6()
}

/// All addresses but link-local ones. The kernel gives every NIC a link-local IPv6 address, and no
/// reply from another link can reach that address.
fn routed(addresses: &[IpNet]) -> impl Iterator<Item = &IpNet> {
    addresses.iter().filter(|own| !is_link_local(own.addr()))
}

fn own(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    if routed(addresses).next().is_none() {
        report.error(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "{name} has only link-local addresses; try: ip address add <address>/<length> dev {name}"
            ),
        );
    }
    if addresses.len() > MAX_ADDRESSES as usize {
        report.error(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "{name} has {} addresses; at most {MAX_ADDRESSES} are supported: remove some",
                addresses.len()
            ),
        );
    }
}

/// A gateway sends ICMP errors to the senders of its VPC. It needs an address of each family for that.
fn families(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    let seals = plan.gateways.iter().any(Gateway::is_local);
    let has_source = |prefix: &IpNet| routed(addresses).any(|own| is_ipv6(own) == is_ipv6(prefix));
    if seals && let Some(prefix) = plan.vpc_prefixes.iter().find(|prefix| !has_source(prefix)) {
        let family = if is_ipv6(prefix) { "IPv6" } else { "IPv4" };
        report.error(
            file.vpc.prefixes.span(),
            "vpc.prefixes",
            format_args!(
                "{name} has no {family} address, but {prefix} is an {family} prefix; a gateway \
                 sends ICMP errors to its hosts and needs a source address of that family. Try: ip \
                 address add <address>/<length> dev {name}"
            ),
        );
    }
}

/// The kernel sends neighbour solicitations from the NIC's link-local address.
fn neighbours(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    let seals = plan.gateways.iter().any(Gateway::is_local);
    let delivers = seals && plan.vpc_prefixes.iter().any(is_ipv6);
    let sends = plan.gateways.iter().any(|each| each.address.is_ipv6());
    let solicits = |own: &IpNet| is_ipv6(own) && is_link_local(own.addr());
    if (delivers || sends) && !addresses.iter().any(solicits) {
        report.error(
            file.nic.name.span(),
            "nic.name",
            format_args!(
                "{name} has no IPv6 link-local address, which the kernel needs to find neighbours \
                 (RFC 4861 section 7.2.2); no IPv6 packet would find its next hop. Try: ip link set \
                 {name} addrgenmode eui64, then set {name} down and up"
            ),
        );
    }
}

fn prefixes(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    for (index, (peering, written)) in plan.peerings.iter().zip(&file.peering).enumerate() {
        for prefix in &peering.prefixes {
            if let Some(own) = addresses.iter().find(|own| prefix.contains(&own.addr())) {
                report.error(
                    written.get_ref().prefixes.span(),
                    format_args!("peering[{index}].prefixes"),
                    format_args!(
                        "{prefix} contains {}, an address of {name}; a peer's prefixes must not \
                         contain addresses of this host",
                        own.addr()
                    ),
                );
            }
        }
    }
}

/// A demux sends its markers from an address within `vpc.prefixes`, since the tunnels drop others.
fn demuxes(file: &File, plan: &Plan, addresses: &[IpNet], report: &mut Report<'_>) {
    let name = &plan.nic.name;
    for (index, (peering, written)) in plan.peerings.iter().zip(&file.peering).enumerate() {
        let (Some(demux), Some(at)) = (peering.demux, &written.get_ref().demux) else {
            continue;
        };
        if plan.marker_source(demux, addresses).is_none() {
            let family = if demux.is_ipv6() { "IPv6" } else { "IPv4" };
            report.error(
                at.span(),
                format_args!("peering[{index}].demux"),
                format_args!(
                    "{name} has no {family} address in vpc.prefixes, the source of markers to \
                     {demux}; write an address of the peer's demux of the other family, or add the \
                     subnet of {name} to vpc.prefixes in both VPCs"
                ),
            );
        }
    }
}

/// Whether `address` is on the link. An IPv6 address without a subnet does not decide this: the
/// router's advertisements do (RFC 5942), and only the kernel's routes have them.
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
                report.error(
                    at.span(),
                    field,
                    format_args!(
                        "{address} is not an address of {name} (it has {}); packets from the peer \
                         would not arrive. Try: ip address add {address}/{} dev {name}",
                        list(addresses),
                        IpNet::from(address).prefix_len()
                    ),
                );
            }
        } else if has(address) {
            report.error(
                at.span(),
                field,
                format_args!(
                    "{address} is an address of {name} itself; a gateway on this host needs \
                     [[gateway.worker]] sections"
                ),
            );
        } else if let Some(own) = addresses.iter().find(|own| is_reserved(own, address)) {
            report.error(
                at.span(),
                field,
                format_args!(
                    "{address} is the network or broadcast address of {}, the subnet of {name}; write the \
                     address of the gateway's host",
                    own.trunc()
                ),
            );
        } else if !on_link(addresses, address) {
            let subnets: Vec<_> = routed(addresses).map(IpNet::trunc).collect();
            report.error(
                at.span(),
                field,
                format_args!(
                    "{address} is outside {}, the subnet of {name}; the demux sends to its gateways \
                     by MAC address, so they must be in its subnet",
                    list(&subnets)
                ),
            );
        }
    }
}
