//! Who is where: sites, their addresses and the names of their namespaces.

use std::fmt;
use std::net::Ipv4Addr;

use crate::options::{Options, Placement};

/// What all names of this crate start with, in `/run/netns` and on devices.
pub const PREFIX: &str = "cwlab";
/// The NIC of every host, demux and gateway.
pub const NIC: &str = "cwlab0";
/// The bridge of a switch.
pub const BRIDGE: &str = "cwlab-br";
/// The link between the two switches, under the same name on both.
pub const TRUNK: &str = "cwlab-trunk";

/// A kind of machine in a VPC. Hosts and gateways count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// The bridge that joins the subnet, and the VPC's router.
    Switch,
    /// A plain machine without Causeway.
    Host(u8),
    /// The demux.
    Demux,
    /// A gateway with a host of its own.
    Gateway(u8),
}

/// One machine of the lab: a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// 1 or 2.
    pub vpc: u8,
    /// Which machine there.
    pub node: Node,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vpc = self.vpc;
        match self.node {
            Node::Switch => write!(f, "v{vpc}-switch"),
            Node::Host(n) => write!(f, "v{vpc}-host-{n}"),
            Node::Demux => write!(f, "v{vpc}-demux"),
            Node::Gateway(n) => write!(f, "v{vpc}-gateway-{n}"),
        }
    }
}

impl Site {
    /// The switch of a VPC.
    pub fn switch(vpc: u8) -> Self {
        let node = Node::Switch;
        Self { vpc, node }
    }

    /// A host of a VPC, from 1.
    pub fn host(vpc: u8, number: u8) -> Self {
        let node = Node::Host(number);
        Self { vpc, node }
    }

    /// The demux of a VPC.
    pub fn demux(vpc: u8) -> Self {
        let node = Node::Demux;
        Self { vpc, node }
    }

    /// A gateway of a VPC, from 1. It has a namespace only in the remote placement.
    pub fn gateway(vpc: u8, number: u8) -> Self {
        let node = Node::Gateway(number);
        Self { vpc, node }
    }

    /// The address in the VPC's subnet, a /24.
    pub fn address(&self) -> Ipv4Addr {
        let last = match self.node {
            Node::Switch => 1,
            Node::Host(n) => 9 + n,
            Node::Demux => 100,
            Node::Gateway(n) => 100 + n,
        };
        Ipv4Addr::new(10, self.vpc, 0, last)
    }

    /// Whether Causeway runs here.
    pub fn is_role(&self) -> bool {
        matches!(self.node, Node::Demux | Node::Gateway(_))
    }

    pub(crate) fn namespace(&self, id: &str) -> String {
        format!("{PREFIX}-{id}-{self}")
    }

    /// The device on the switch that leads here; an interface name has at most 15 bytes.
    pub(crate) fn port(&self) -> String {
        match self.node {
            Node::Switch => BRIDGE.to_owned(),
            Node::Host(n) => format!("{PREFIX}-h{n}"),
            Node::Demux => format!("{PREFIX}-demux"),
            Node::Gateway(n) => format!("{PREFIX}-g{n}"),
        }
    }
}

/// The subnet of a VPC, which is also what its cluster protects.
pub fn prefix(vpc: u8) -> String {
    format!("10.{vpc}.0.0/24")
}

/// The VPC at the other end of the trunk.
pub fn other(vpc: u8) -> u8 {
    3 - vpc
}

/// A switch's own address on the trunk, a /30.
pub fn trunk_address(vpc: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 255, 255, vpc)
}

/// All machines of a VPC, the switch first.
pub fn sites(options: &Options, vpc: u8) -> Vec<Site> {
    let mut sites = vec![Site::switch(vpc)];
    sites.extend((1..=options.hosts).map(|n| Site::host(vpc, n)));
    sites.extend(roles(options, vpc));
    sites
}

/// The machines of a VPC on which Causeway runs.
pub fn roles(options: &Options, vpc: u8) -> Vec<Site> {
    let mut roles = vec![Site::demux(vpc)];
    if options.placement == Placement::Remote {
        roles.extend((1..=options.gateways).map(|n| Site::gateway(vpc, n)));
    }
    roles
}

/// The machine that carries gateway `number` of a VPC.
pub fn carrier(options: &Options, vpc: u8, number: u8) -> Site {
    match options.placement {
        Placement::Remote => Site::gateway(vpc, number),
        Placement::Local => Site::demux(vpc),
    }
}

/// The name of gateway `number` in the configuration files, the same in both VPCs.
pub fn gateway_name(number: u8) -> String {
    format!("gateway-{number}")
}

/// The machines of a VPC whose addresses end tunnels.
pub fn endpoints(options: &Options, vpc: u8) -> Vec<Site> {
    match options.placement {
        Placement::Remote => (1..=options.gateways)
            .map(|n| Site::gateway(vpc, n))
            .collect(),
        Placement::Local => vec![Site::demux(vpc)],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_addresses_are_distinct_and_fit() {
        let options = Options {
            gateways: 10,
            hosts: 50,
            ..Options::new("c", "x")
        };
        for vpc in [1, 2] {
            let sites = sites(&options, vpc);
            let ports: HashSet<_> = sites.iter().map(Site::port).collect();
            let addresses: HashSet<_> = sites.iter().map(Site::address).collect();
            assert_eq!((ports.len(), addresses.len()), (sites.len(), sites.len()));
            assert!(ports.iter().all(|name| name.len() <= 15));
        }
        assert_eq!(
            Site::gateway(2, 3).namespace("abc"),
            "cwlab-abc-v2-gateway-3"
        );
    }
}
