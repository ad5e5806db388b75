//! Longest-prefix match over a few prefixes: the peers' and the VPC's own.

use causeway_steering::Address;
use ipnet::Ipv4Net;

/// Prefixes, each with the number of what it belongs to. Flat, ready to be searched: one sorted
/// run of networks for each prefix length, the longest first.
pub(crate) struct Prefixes {
    lengths: Vec<Length>,
}

struct Length {
    mask: u32,
    networks: Vec<(u32, usize)>,
}

impl Prefixes {
    /// A table of all `prefixes`. Where one appears twice, either may answer.
    pub(crate) fn new(prefixes: impl IntoIterator<Item = (Ipv4Net, usize)>) -> Self {
        let mut lengths: Vec<Length> = Vec::new();
        for (prefix, owner) in prefixes {
            let mask = u32::from(prefix.netmask());
            let network = (u32::from(prefix.network()), owner);
            match lengths.iter_mut().find(|length| length.mask == mask) {
                Some(length) => length.networks.push(network),
                None => lengths.push(Length {
                    mask,
                    networks: vec![network],
                }),
            }
        }
        lengths.sort_by_key(|length| std::cmp::Reverse(length.mask));
        for length in &mut lengths {
            length.networks.sort_unstable();
        }
        Self { lengths }
    }

    /// What the longest prefix that covers `address` belongs to.
    pub(crate) fn lookup(&self, address: Address) -> Option<usize> {
        let address = address.ipv4()?.to_bits();
        self.lengths.iter().find_map(|length| {
            let network = address & length.mask;
            let at = length
                .networks
                .binary_search_by_key(&network, |&(network, _)| network)
                .ok()?;
            Some(length.networks[at].1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    proptest! {
        /// The same answer as looking at every prefix.
        #[test]
        fn as_a_scan(
            nets in proptest::collection::vec((0u32..64, 0u8..=32), 0..20),
            address in 0u32..64,
        ) {
            // Few distinct addresses, spread over the word, so that prefixes nest and meet.
            let spread = |x: u32| Ipv4Addr::from((x & 7) | (x >> 3) << 29);
            let nets: std::collections::BTreeSet<_> = nets
                .iter()
                .map(|&(x, length)| Ipv4Net::new(spread(x), length).expect("a length up to 32").trunc())
                .collect();
            let table = Prefixes::new(nets.iter().copied().enumerate().map(|(i, net)| (net, i)));
            let expected = nets
                .iter()
                .enumerate()
                .filter(|(_, net)| net.contains(&spread(address)))
                .max_by_key(|(_, net)| net.prefix_len())
                .map(|(i, _)| i);
            prop_assert_eq!(table.lookup(Address::from(spread(address))), expected);
        }
    }
}
