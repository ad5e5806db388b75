//! Flows as hosts make them, by their hashes.

use causeway_steering::{Address, FlowKey, SteerHash};

/// Hosts on this side, and of those one in so many speaks IPv6.
const HOSTS: usize = 400;
const IPV6_ONE_IN: usize = 8;
/// Hosts on the far side.
const SERVERS: usize = 40;
/// A protocol and a port for each of eight flows.
const SERVICES: [(u8, u16); 8] = [
    (6, 443),
    (6, 443),
    (6, 443),
    (17, 443),
    (6, 80),
    (17, 53),
    (6, 5432),
    (6, 22),
];
/// The first ephemeral port, and how many there are (Linux's default).
const PORTS: (u16, u16) = (32_768, 28_232);

/// The hashes of `count` flows, no two of which are one flow: each host counts its ports up, and
/// half of the flows go to the first fifth of the servers.
pub fn hashes(count: usize) -> Vec<u64> {
    let hash = SteerHash::new(*b"causeway buckets");
    (0..count).map(|number| hash.hash(&flow(number))).collect()
}

fn flow(number: usize) -> FlowKey {
    let (host, turn) = (number % HOSTS, number / HOSTS);
    let port = PORTS.0 + ((host * 101 + turn) % usize::from(PORTS.1)) as u16;
    let (protocol, service) = SERVICES[(host + 3 * turn) % SERVICES.len()];
    let mixed = host * 7 + turn * 13;
    let server = match turn % 2 {
        0 => mixed % (SERVERS / 5),
        _ => mixed % SERVERS,
    };
    let address = |vpc: u32, number: usize| match host % IPV6_ONE_IN {
        0 => Address::v6(0xfd00 << 112 | u128::from(vpc) << 96 | (number as u128 + 16)),
        _ => Address::v4(10 << 24 | vpc << 16 | (number as u32 + 16)),
    };
    let near = (address(1, host), port);
    FlowKey::new(protocol, near, (address(2, server), service))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_flow_comes_twice() {
        let flows: HashSet<FlowKey> = (0..100_000).map(flow).collect();
        assert_eq!(flows.len(), 100_000);
    }
}
