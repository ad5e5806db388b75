//! Makes the namespaces, links, addresses and routes of a lab.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::options::{Family, Options, Placement};
use crate::topology::{
    self, BRIDGE, NIC, Node, Site, TRUNK, endpoints, peer_vpc, prefix, subnet_length, trunk_address,
};
use crate::{delay, interrupt, netns, tool};

/// Builds the network on which the roles run.
pub fn build(options: &Options, id: &str) -> Result<()> {
    let sites: Vec<Site> = [1, 2]
        .into_iter()
        .flat_map(|vpc| topology::sites(options, vpc))
        .collect();
    {
        let _permit = interrupt::permit();
        let lines: Vec<_> = sites
            .iter()
            .map(|site| format!("netns add {}", site.namespace(id)))
            .collect();
        tool::batch("ip", None, &lines)?;
    }
    for site in &sites {
        netns::enter(&site.namespace(id), || set_kernel(options, *site))?;
    }
    for vpc in [1, 2] {
        let switch = Site::switch(vpc).namespace(id);
        tool::batch("ip", Some(&switch), &switch_lines(options, id, vpc))?;
    }
    if !options.delay.is_zero() {
        for vpc in [1, 2] {
            let switch = Site::switch(vpc).namespace(id);
            tool::batch("bridge", Some(&switch), &[delay::forward_line()])?;
        }
    }
    if options.outer == Family::Ipv4 && options.has(Family::Ipv6) {
        for vpc in [1, 2] {
            netns::enter(&Site::switch(vpc).namespace(id), disable_trunk_ipv6)?;
        }
    }
    for site in &sites {
        let lines = match site.node {
            Node::Switch => trunk_lines(options, site.vpc),
            _ => member_lines(options, *site),
        };
        tool::batch("ip", Some(&site.namespace(id)), &lines)?;
    }
    set_offloads(&sites, id)?;
    match options.placement {
        Placement::Local => keep_order(&sites, id),
        Placement::Remote => Ok(()),
    }
}

/// Settings of the network namespace that the calling thread is in.
fn set_kernel(options: &Options, site: Site) -> Result<()> {
    let forward = u8::from(site.node == Node::Switch);
    let ipv6 = options.has(Family::Ipv6);
    // Forwarding comes first: setting it resets the redirect settings.
    let mut settings = vec![
        ("ipv4/ip_forward".to_owned(), forward),
        ("ipv6/conf/all/forwarding".to_owned(), forward),
    ];
    for scope in ["all", "default"] {
        let mut ipv6_setting = |name: &str, value| {
            settings.push((format!("ipv6/conf/{scope}/{name}"), value));
        };
        ipv6_setting("disable_ipv6", u8::from(!ipv6));
        // The addresses are valid at once: no duplicate address detection, no router solicitations. IPv6 addresses
        // stay on a NIC that goes down, like IPv4 addresses.
        ipv6_setting("accept_dad", 0);
        ipv6_setting("accept_ra", 0);
        ipv6_setting("router_solicitations", 0);
        ipv6_setting("accept_redirects", 0);
        ipv6_setting("keep_addr_on_down", 1);
        // Replies come from a gateway, although packets leave through the demux.
        settings.push((format!("ipv4/conf/{scope}/rp_filter"), 0));
        // The kernel would redirect hosts around the demux.
        settings.push((format!("ipv4/conf/{scope}/send_redirects"), 0));
        settings.push((format!("ipv4/conf/{scope}/accept_redirects"), 0));
    }
    for (name, value) in settings {
        let path = format!("/proc/sys/net/{name}");
        match std::fs::write(&path, value.to_string()) {
            // A kernel without IPv6 lacks these settings and sends no IPv6.
            Err(_) if !ipv6 && name.starts_with("ipv6/") && !Path::new(&path).exists() => {}
            result => result.with_context(|| format!("cannot set {path} for {site}"))?,
        }
    }
    Ok(())
}

/// Disables IPv6 on the trunk, so that it carries no neighbour discovery.
fn disable_trunk_ipv6() -> Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{TRUNK}/disable_ipv6");
    std::fs::write(&path, "1").with_context(|| format!("cannot set {path}"))
}

/// The batch for a switch: the bridge, a port for each machine, and the end of the trunk.
fn switch_lines(options: &Options, id: &str, vpc: u8) -> Vec<String> {
    let mtu = options.mtu;
    let mut lines = vec![
        "link set lo up".to_owned(),
        // Without a fixed address a bridge takes the lowest address of its ports.
        format!(
            "link add {BRIDGE} mtu {mtu} address 02:cb:00:00:0{vpc}:01 type bridge \
             forward_delay 0 stp_state 0 mcast_snooping 0"
        ),
    ];
    lines.extend(own_addresses(options, Site::switch(vpc), BRIDGE));
    lines.push(format!("link set {BRIDGE} up"));
    for site in topology::sites(options, vpc) {
        if site.node == Node::Switch {
            continue;
        }
        let (port, namespace) = (site.port(), site.namespace(id));
        lines.push(format!(
            "link add {port} mtu {mtu} type veth peer name {NIC} mtu {mtu} netns {namespace}"
        ));
        lines.push(format!("link set {port} master {BRIDGE} up"));
    }
    if !options.delay.is_zero() {
        lines.push(delay::device_line(mtu));
    } else if vpc == 1 {
        let far = Site::switch(2).namespace(id);
        lines.push(format!(
            "link add {TRUNK} mtu {mtu} type veth peer name {TRUNK} mtu {mtu} netns {far}"
        ));
    }
    lines
}

/// The batch for an end of the trunk. The router has routes to the tunnel endpoints of the other VPC only, so that the
/// trunk carries no other packets.
fn trunk_lines(options: &Options, vpc: u8) -> Vec<String> {
    let (family, length) = (options.outer, subnet_length(options.outer));
    let (near, far) = (
        trunk_address(vpc, family),
        trunk_address(peer_vpc(vpc), family),
    );
    let mut lines = vec![
        format!("addr add {near}/{length} dev {TRUNK}"),
        format!("link set {TRUNK} up"),
    ];
    for endpoint in endpoints(options, peer_vpc(vpc)) {
        let address = endpoint.address(family);
        lines.push(format!("route add {address} via {far} dev {TRUNK}"));
    }
    lines
}

fn member_lines(options: &Options, site: Site) -> Vec<String> {
    let vpc = site.vpc;
    let mut lines = vec!["link set lo up".to_owned()];
    lines.extend(own_addresses(options, site, NIC));
    lines.push(format!("link set {NIC} up"));
    let (next_hop, families) = match site.node {
        Node::Host(_) => (Site::demux(vpc), options.inner.families()),
        _ if endpoints(options, vpc).contains(&site) => {
            (Site::switch(vpc), std::slice::from_ref(&options.outer))
        }
        _ => return lines,
    };
    for &family in families {
        let (prefix, next_hop) = (prefix(peer_vpc(vpc), family), next_hop.address(family));
        lines.push(format!("route add {prefix} via {next_hop}"));
    }
    lines
}

fn own_addresses(options: &Options, site: Site, device: &str) -> Vec<String> {
    let families = [Family::Ipv4, Family::Ipv6].into_iter();
    families
        .filter(|family| options.has(*family))
        .map(|family| {
            let (address, length) = (site.address(family), subnet_length(family));
            format!("addr add {address}/{length} dev {device}")
        })
        .collect()
}

/// Switches offloads off. Packets on a veth otherwise have no checksum and may have several segments, but a gateway
/// must encrypt complete packets in one frame each.
fn set_offloads(sites: &[Site], id: &str) -> Result<()> {
    const PLAIN: [&str; 6] = ["tx", "off", "tso", "off", "gso", "off"];
    for site in sites {
        let switch = Site::switch(site.vpc).namespace(id);
        if site.node == Node::Switch {
            ethtool(&switch, TRUNK, &PLAIN)?;
            continue;
        }
        ethtool(&site.namespace(id), NIC, &PLAIN)?;
        ethtool(&switch, &site.port(), &PLAIN)?;
        if site.is_role() {
            // A veth drops frames redirected by XDP unless its peer has NAPI, which GRO enables.
            ethtool(&switch, &site.port(), &["gro", "on"])?;
        }
    }
    Ok(())
}

/// Keeps the order of each flow by receive packet steering.
///
/// A veth without NAPI queues a packet on the core that sends it. Workers of local gateways share a NIC's ring, and either
/// core may empty it, so that the lab's network would reorder a flow. With a core per flow, as RSS has it, the order
/// stays. This costs up to a third of the throughput on two cores.
fn keep_order(sites: &[Site], id: &str) -> Result<()> {
    for site in sites {
        let (namespace, switch) = (site.namespace(id), Site::switch(site.vpc).namespace(id));
        match site.node {
            Node::Switch => spread(&namespace, TRUNK)?,
            Node::Host(_) => {
                spread(&namespace, NIC)?;
                spread(&switch, &site.port())?;
            }
            // Both ends of these links have NAPI.
            Node::Demux | Node::Gateway(_) => {}
        }
    }
    Ok(())
}

/// Enables receive packet steering over all cores. The setting is in the `/sys` of the namespace, which `ip netns exec`
/// mounts.
fn spread(namespace: &str, device: &str) -> Result<()> {
    let setting = format!("/sys/class/net/{device}/queues/rx-0/rps_cpus");
    // The kernel accepts at most one bit per core.
    let cores = std::thread::available_parallelism()?.get().min(32);
    let all = format!("{:x}", (1_u64 << cores) - 1);
    tool::run(Command::new("ip").args(["netns", "exec", namespace]).args([
        "sh",
        "-c",
        "echo \"$1\" > \"$0\"",
        &setting,
        &all,
    ]))
    .map(drop)
}

fn ethtool(namespace: &str, device: &str, features: &[&str]) -> Result<()> {
    netns::enter(namespace, || {
        tool::run(Command::new("ethtool").args(["-K", device]).args(features)).map(drop)
    })
}
