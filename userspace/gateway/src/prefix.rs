//! Longest-prefix match over a few prefixes: the peers' and the VPC's own.

use std::ops::BitAnd;

use causeway_steering::Address;
use ipnet::IpNet;

/// Prefixes of both families, each with the number of what it belongs to.
pub(crate) struct Prefixes {
    v4: Table<u32>,
    v6: Table<u128>,
}

/// Prefixes of one family. Flat, ready to be searched: one sorted run of networks for each prefix
/// length, the longest first.
struct Table<A> {
    lengths: Vec<Length<A>>,
}

struct Length<A> {
    mask: A,
    networks: Vec<(A, usize)>,
}

impl Prefixes {
    /// A table of all `prefixes`. Where one appears twice, either may answer.
    pub(crate) fn new(prefixes: impl IntoIterator<Item = (IpNet, usize)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (prefix, owner) in prefixes {
            match prefix {
                IpNet::V4(net) => v4.push((net.netmask().into(), net.network().into(), owner)),
                IpNet::V6(net) => v6.push((net.netmask().into(), net.network().into(), owner)),
            }
        }
        Self {
            v4: Table::new(v4),
            v6: Table::new(v6),
        }
    }

    /// What the longest prefix that covers `address` belongs to.
    #[inline]
    pub(crate) fn lookup(&self, address: Address) -> Option<usize> {
        if address.is_ipv4() {
            self.v4.lookup(address.low as u32)
        } else {
            self.v6.lookup(address.bits())
        }
    }
}

impl<A: Copy + Ord + BitAnd<Output = A>> Table<A> {
    /// Of masks, networks and owners.
    fn new(prefixes: Vec<(A, A, usize)>) -> Self {
        let mut lengths: Vec<Length<A>> = Vec::new();
        for (mask, network, owner) in prefixes {
            match lengths.iter_mut().find(|length| length.mask == mask) {
                Some(length) => length.networks.push((network, owner)),
                None => lengths.push(Length {
                    mask,
                    networks: vec![(network, owner)],
                }),
            }
        }
        lengths.sort_by_key(|length| std::cmp::Reverse(length.mask));
        for length in &mut lengths {
            length.networks.sort_unstable();
        }
        Self { lengths }
    }

    #[inline]
    fn lookup(&self, address: A) -> Option<usize> {
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
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// Few distinct addresses, spread over the word, so that prefixes nest and meet. The IPv6 ones
    /// have the bits of the IPv4 ones in front, so that one family must not answer for the other.
    fn spread(x: u32, v6: bool) -> IpAddr {
        let bits = (x & 7) | (x >> 3) << 29;
        if v6 {
            Ipv6Addr::from(u128::from(bits) << 96 | u128::from(x & 7)).into()
        } else {
            Ipv4Addr::from(bits).into()
        }
    }

    proptest! {
        /// The same answer as looking at every prefix.
        #[test]
        fn as_a_scan(
            nets in proptest::collection::vec((0u32..64, 0u8..=128, any::<bool>()), 0..20),
            address in 0u32..64,
            v6: bool,
        ) {
            let nets: std::collections::BTreeSet<_> = nets
                .iter()
                .map(|&(x, length, v6)| {
                    let length = if v6 { length } else { length % 33 };
                    IpNet::new(spread(x, v6), length).expect("a length that fits").trunc()
                })
                .collect();
            let table = Prefixes::new(nets.iter().copied().enumerate().map(|(i, net)| (net, i)));
            let address = spread(address, v6);
            let expected = nets
                .iter()
                .enumerate()
                .filter(|(_, net)| net.contains(&address))
                .max_by_key(|(_, net)| net.prefix_len())
                .map(|(i, _)| i);
            prop_assert_eq!(table.lookup(address.into()), expected);
        }
    }
}
