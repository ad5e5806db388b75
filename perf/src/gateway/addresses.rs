//! The names and addresses of the three hosts.

use std::net::Ipv4Addr;

/// The NIC of the gateway and of the forwarder, in their namespaces.
pub const NIC: &str = "cwlab0";
pub const MTU: usize = 1500;
/// The MAC addresses of a veth's two ends: the load's, and the gateway's or forwarder's.
pub const NEAR: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const FAR: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 101);
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
/// A host in the gateway's VPC and one in the peer's VPC.
pub const OWN_HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
pub const FAR_HOST: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 10);
/// The peer gateway, which the load simulates.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 101);
