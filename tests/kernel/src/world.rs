//! The tables for the corpus.

use std::collections::HashMap;

use causeway_demux::Steering;
use causeway_demux::skew::LEAST_SKEW;
use causeway_demux::steering::{Peering, Place};
use causeway_steering::SteerHash;

use crate::packet::OWN_MAC;

/// The address of the NIC under test.
pub const OWN: [u8; 4] = [10, 1, 0, 100];
/// A second address of the NIC, which a peer's prefix covers.
pub const OWN_UNDER_PEER: [u8; 4] = [10, 2, 9, 9];
/// A host of this VPC.
pub const HOST: [u8; 4] = [10, 1, 0, 10];
/// A host of a peer whose gateways are remote.
pub const FAR: [u8; 4] = [10, 2, 0, 10];
/// A host under a longer prefix, whose gateways are local.
pub const FAR_LOCAL: [u8; 4] = [10, 2, 7, 10];
/// A host of a peer whose only gateway has no resolved MAC address.
pub const FAR_UNRESOLVED: [u8; 4] = [10, 3, 0, 10];
/// A host of a peer whose gateway is local and has no AF_XDP socket.
pub const FAR_WITHOUT_SOCKET: [u8; 4] = [10, 4, 0, 10];
/// The first gateway of this VPC.
pub const GATEWAY: [u8; 4] = [10, 1, 0, 101];
/// A gateway of this VPC whose MAC address is not resolved, and which a peer's prefix covers.
pub const GATEWAY_UNDER_PEER: [u8; 4] = [10, 2, 9, 10];
/// A host of no peer.
pub const ELSEWHERE: [u8; 4] = [192, 0, 2, 1];
/// The IPv6 addresses with the same roles.
pub mod ipv6 {
    /// The address of the NIC under test.
    pub const OWN: [u8; 16] = address(1, 0, 0x100);
    /// A second address of the NIC, which a peer's prefix covers.
    pub const OWN_UNDER_PEER: [u8; 16] = address(2, 9, 9);
    /// The link-local address of the NIC.
    pub const OWN_LINK_LOCAL: [u8; 16] = {
        let mut address = address(1, 0, 0x100);
        [address[0], address[1], address[2], address[3], address[5]] = [0xfe, 0x80, 0, 0, 0];
        address
    };
    /// A host of this VPC.
    pub const HOST: [u8; 16] = address(1, 0, 0x10);
    /// A host of a peer whose gateways are remote.
    pub const FAR: [u8; 16] = address(2, 0, 0x10);
    /// A host under a longer prefix, whose gateways are local.
    pub const FAR_LOCAL: [u8; 16] = address(2, 7, 0x10);
    /// A host of a peer whose only gateway has no resolved MAC address.
    pub const FAR_UNRESOLVED: [u8; 16] = address(3, 0, 0x10);
    /// A host of a peer whose gateway is local and has no AF_XDP socket.
    pub const FAR_WITHOUT_SOCKET: [u8; 16] = address(4, 0, 0x10);
    /// The second gateway of this VPC.
    pub const GATEWAY: [u8; 16] = address(1, 0, 0x102);
    /// A host of no peer.
    pub const ELSEWHERE: [u8; 16] = address(0xff, 0, 1);

    /// `2001:db8:<vpc>:<subnet>::<host>`.
    const fn address(vpc: u8, subnet: u8, host: u16) -> [u8; 16] {
        let [high, low] = host.to_be_bytes();
        [
            0x20, 1, 0xd, 0xb8, 0, vpc, 0, subnet, 0, 0, 0, 0, 0, 0, high, low,
        ]
    }
}

/// The SPI of worker 1.
pub const SPI: u32 = 0x1001;
/// An SPI whose worker has no socket.
pub const SPI_WITHOUT_SOCKET: u32 = 0x1002;
/// The workers that have a socket on queue 0.
pub const WORKERS_WITH_SOCKETS: [u32; 2] = [0, 1];
/// The MAC addresses of the two remote gateways.
pub const GATEWAY_MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 101], [2, 0, 0, 0, 1, 102]];

/// Tables with remote, local and unresolved gateways.
pub fn steering() -> Steering {
    let nets = |texts: [&str; 2]| {
        texts
            .map(|text| text.parse().expect("a prefix of this file"))
            .into()
    };
    let local = |first_worker| Place::Local {
        first_worker,
        workers: 1,
    };
    Steering {
        mac: OWN_MAC,
        own: [
            OWN.into(),
            OWN_UNDER_PEER.into(),
            ipv6::OWN.into(),
            ipv6::OWN_UNDER_PEER.into(),
            ipv6::OWN_LINK_LOCAL.into(),
        ]
        .into(),
        hash: SteerHash::new(*b"a key for tests."),
        peerings: vec![
            Peering::over(nets(["10.2.0.0/16", "2001:db8:2::/48"]), &[0, 1]),
            Peering::over(nets(["10.2.7.0/24", "2001:db8:2:7::/64"]), &[2, 3]),
            Peering::over(nets(["10.3.0.0/16", "2001:db8:3::/48"]), &[4]),
            Peering::over(nets(["10.4.0.0/16", "2001:db8:4::/48"]), &[5]),
        ],
        gateways: vec![
            Place::Remote {
                address: GATEWAY.into(),
                mac: Some(GATEWAY_MACS[0]),
            },
            Place::Remote {
                address: ipv6::GATEWAY.into(),
                mac: Some(GATEWAY_MACS[1]),
            },
            local(0),
            local(1),
            Place::Remote {
                address: GATEWAY_UNDER_PEER.into(),
                mac: None,
            },
            local(9),
        ],
        workers: HashMap::from([(SPI, 1), (SPI_WITHOUT_SOCKET, 9)]),
        skew: LEAST_SKEW,
        now: 0,
    }
}
