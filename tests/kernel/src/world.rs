//! The tables under which the corpus is judged.

use std::collections::HashMap;
use std::net::IpAddr;

use causeway_demux::Steering;
use causeway_demux::steering::{Peering, Place};
use causeway_steering::SteerHash;

use crate::packet::OWN_MAC;

/// The address of the NIC under test.
pub const OWN: [u8; 4] = [10, 1, 0, 100];
/// A second address of the NIC, which a peer's prefix covers.
pub const OWN_UNDER_PEER: [u8; 4] = [10, 2, 9, 9];
/// A host of the own VPC.
pub const HOST: [u8; 4] = [10, 1, 0, 10];
/// A host of a peer whose gateways are remote.
pub const FAR: [u8; 4] = [10, 2, 0, 10];
/// A host under a longer prefix, whose gateways are local.
pub const FAR_LOCAL: [u8; 4] = [10, 2, 7, 10];
/// A host of a peer whose only gateway is not resolved.
pub const FAR_UNRESOLVED: [u8; 4] = [10, 3, 0, 10];
/// A host of a peer whose gateway is local and has no socket.
pub const FAR_WITHOUT_SOCKET: [u8; 4] = [10, 4, 0, 10];
/// A host of no peer.
pub const ELSEWHERE: [u8; 4] = [192, 0, 2, 1];
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
    let net = |text: &str| text.parse().expect("a prefix of this file");
    let local = |first_worker| Place::Local {
        first_worker,
        workers: 1,
    };
    Steering {
        mac: OWN_MAC,
        own: [OWN, OWN_UNDER_PEER].map(IpAddr::from).into(),
        hash: SteerHash::new(*b"a key for tests."),
        peerings: vec![
            Peering::over(vec![net("10.2.0.0/16")], &[0, 1]),
            Peering::over(vec![net("10.2.7.0/24")], &[2, 3]),
            Peering::over(vec![net("10.3.0.0/16")], &[4]),
            Peering::over(vec![net("10.4.0.0/16")], &[5]),
        ],
        gateways: vec![
            Place::Remote {
                mac: Some(GATEWAY_MACS[0]),
            },
            Place::Remote {
                mac: Some(GATEWAY_MACS[1]),
            },
            local(0),
            local(1),
            Place::Remote { mac: None },
            local(9),
        ],
        workers: HashMap::from([(SPI, 1), (SPI_WITHOUT_SOCKET, 9)]),
    }
}
