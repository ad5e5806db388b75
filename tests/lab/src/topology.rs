//! The machines of the lab: their addresses and the names of their namespaces.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::options::{Family, Options, Placement};

/// Prefix of the names in `/run/netns` and of devices.
pub const PREFIX: &str = "cwlab";
/// The NIC of every host, demux and gateway.
pub const NIC: &str = "cwlab0";
pub const BRIDGE: &str = "cwlab-br";
/// The link between the two switches. Both ends have this name.
pub const TRUNK: &str = "cwlab-trunk";

/// A kind of machine in a VPC. Hosts and gateways count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// The bridge of the subnet, which is also the VPC's router.
    Switch,
    /// A machine without Causeway.
    Host(u8),
    Demux,
    /// The host of a remote gateway.
    Gateway(u8),
}

/// One machine of the lab: a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site {
    /// 1 or 2.
    pub vpc: u8,
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
    pub fn switch(vpc: u8) -> Self {
        let node = Node::Switch;
        Self { vpc, node }
    }

    /// A host of a VPC. Hosts count from 1.
    pub fn host(vpc: u8, number: u8) -> Self {
        let node = Node::Host(number);
        Self { vpc, node }
    }

    pub fn demux(vpc: u8) -> Self {
        let node = Node::Demux;
        Self { vpc, node }
    }

    /// The host of a gateway. Gateways count from 1. The host exists only in the remote placement.
    pub fn gateway(vpc: u8, number: u8) -> Self {
        let node = Node::Gateway(number);
        Self { vpc, node }
    }

    /// The address in the VPC's subnet. The addresses of both families end in the same digits: 10.1.0.101 and
    /// fd00:10:1::101.
    pub fn address(&self, family: Family) -> IpAddr {
        let last = match self.node {
            Node::Switch => 1,
            Node::Host(n) => 9 + n,
            Node::Demux => 100,
            Node::Gateway(n) => 100 + n,
        };
        match family {
            Family::Ipv4 => Ipv4Addr::new(10, self.vpc, 0, last).into(),
            Family::Ipv6 => {
                let last = u16::from(last);
                // The same digits, read as hexadecimal.
                let digits = last / 100 * 0x100 + last / 10 % 10 * 0x10 + last % 10;
                unique_local(self.vpc, digits).into()
            }
        }
    }

    /// Whether Causeway runs on this machine.
    pub fn is_role(&self) -> bool {
        matches!(self.node, Node::Demux | Node::Gateway(_))
    }

    pub(crate) fn namespace(&self, id: &str) -> String {
        format!("{PREFIX}-{id}-{self}")
    }

    /// The switch's port to this machine. An interface name has at most 15 bytes.
    pub(crate) fn port(&self) -> String {
        match self.node {
            Node::Switch => BRIDGE.to_owned(),
            Node::Host(n) => format!("{PREFIX}-h{n}"),
            Node::Demux => format!("{PREFIX}-demux"),
            Node::Gateway(n) => format!("{PREFIX}-g{n}"),
        }
    }
}

/// A unique local address (RFC 4193).
fn unique_local(subnet: u8, last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x10, subnet.into(), 0, 0, 0, 0, last)
}

/// The subnet of a VPC, which is also the VPC's prefix in the configuration.
pub fn prefix(vpc: u8, family: Family) -> String {
    match family {
        Family::Ipv4 => format!("10.{vpc}.0.0/{}", subnet_length(family)),
        Family::Ipv6 => format!("{}/{}", unique_local(vpc, 0), subnet_length(family)),
    }
}

pub fn subnet_length(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 24,
        Family::Ipv6 => 64,
    }
}

pub fn peer_vpc(vpc: u8) -> u8 {
    3 - vpc
}

/// A switch's address on the trunk, which is a subnet with the same prefix length.
pub fn trunk_address(vpc: u8, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::new(10, 255, 255, vpc).into(),
        Family::Ipv6 => unique_local(0xff, vpc.into()).into(),
    }
}

pub fn vpc_of(address: IpAddr) -> Option<u8> {
    let vpc = match address {
        IpAddr::V4(address) => match address.octets() {
            [10, vpc, 0, _] => vpc,
            _ => return None,
        },
        IpAddr::V6(address) => match address.segments() {
            [0xfd00, 0x10, vpc, 0, 0, 0, 0, _] => u8::try_from(vpc).ok()?,
            _ => return None,
        },
    };
    [1, 2].contains(&vpc).then_some(vpc)
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

/// The machine on which gateway `number` of a VPC runs.
pub fn gateway_site(options: &Options, vpc: u8, number: u8) -> Site {
    match options.placement {
        Placement::Remote => Site::gateway(vpc, number),
        Placement::Local => Site::demux(vpc),
    }
}

/// The name of gateway `number` in the configuration files, the same in both VPCs.
pub fn gateway_name(number: u8) -> String {
    format!("gateway-{number}")
}

/// The machines of a VPC whose addresses are tunnel endpoints.
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
    fn names_and_addresses_are_unique_and_short_enough() {
        let options = Options {
            gateways: 10,
            hosts: 50,
            ..Options::new("c", "x")
        };
        for vpc in [1, 2] {
            let sites = sites(&options, vpc);
            let ports: HashSet<_> = sites.iter().map(Site::port).collect();
            assert_eq!(ports.len(), sites.len());
            assert!(ports.iter().all(|name| name.len() <= 15));
            for family in [Family::Ipv4, Family::Ipv6] {
                let addresses = sites.iter().map(|site| site.address(family));
                let addresses: HashSet<_> = addresses.collect();
                assert_eq!(addresses.len(), sites.len());
                assert!(addresses.iter().all(|&a| vpc_of(a) == Some(vpc)));
                assert_eq!(vpc_of(trunk_address(vpc, family)), None);
            }
        }
        let address = |family| Site::gateway(2, 10).address(family).to_string();
        assert_eq!(address(Family::Ipv4), "10.2.0.110");
        assert_eq!(address(Family::Ipv6), "fd00:10:2::110");
        assert_eq!(prefix(2, Family::Ipv6), "fd00:10:2::/64");
        assert_eq!(
            Site::gateway(2, 3).namespace("abc"),
            "cwlab-abc-v2-gateway-3"
        );
    }
}
