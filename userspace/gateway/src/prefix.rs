//! Longest-prefix match over the prefixes of the peers and of this side.

use std::ops::BitAnd;

use causeway_steering::Address;
use ipnet::IpNet;

/// Prefixes of both families, each with the index of its owner.
pub(crate) struct Prefixes {
    v4: Table<u32>,
    v6: Table<u128>,
}

/// Prefixes of one family: one hash table of networks per prefix length, the longest first. So a lookup costs the same for
/// one prefix and for 10,000.
struct Table<A> {
    lengths: Vec<Length<A>>,
}

struct Length<A> {
    mask: A,
    /// Their number is a power of two, and at least half of them are empty. A network is in its home slot or behind it,
    /// with no empty slot in between.
    slots: Box<[Slot<A>]>,
}

/// A network and its owner: an index of 32 bits, so that a cache line has twice as many slots.
#[derive(Clone, Copy)]
struct Slot<A> {
    network: A,
    owner: u32,
}

/// The owner of an empty slot.
const NO_OWNER: u32 = u32::MAX;

/// An address of one family.
trait Bits: Copy + Ord + BitAnd<Output = Self> {
    /// A hash without a key: the operator chooses the networks, and an attacker's addresses cost at most a scan of the
    /// longest run of full slots.
    fn hash(self) -> usize;
}

/// 2^64 divided by the golden ratio, made odd: neighbouring networks hash to distant slots.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Bits for u32 {
    #[inline]
    fn hash(self) -> usize {
        (u64::from(self).wrapping_mul(SPREAD) >> 32) as usize
    }
}

impl Bits for u128 {
    #[inline]
    fn hash(self) -> usize {
        let once = (self as u64).wrapping_mul(SPREAD) ^ (self >> 64) as u64;
        (once.wrapping_mul(SPREAD) >> 32) as usize
    }
}

impl Prefixes {
    /// A table of all `prefixes`. If a prefix appears twice, either owner may be returned.
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

    /// The owner of the longest prefix that contains `address`.
    #[inline(always)]
    pub(crate) fn lookup(&self, address: Address) -> Option<usize> {
        if address.is_ipv4() {
            self.v4.lookup(address.low as u32)
        } else {
            self.lookup_v6(address.bits())
        }
    }
}

impl Prefixes {
    /// Out of line, so that it costs nothing for IPv4.
    #[inline(never)]
    fn lookup_v6(&self, address: u128) -> Option<usize> {
        self.v6.lookup(address)
    }
}

impl<A: Bits> Table<A> {
    /// From masks, networks and owners.
    fn new(mut prefixes: Vec<(A, A, usize)>) -> Self {
        prefixes.sort_by_key(|&(mask, _, _)| std::cmp::Reverse(mask));
        let lengths = prefixes.chunk_by(|a, b| a.0 == b.0).map(Length::new);
        Self {
            lengths: lengths.collect(),
        }
    }

    #[inline]
    fn lookup(&self, address: A) -> Option<usize> {
        self.lengths.iter().find_map(|length| length.find(address))
    }
}

impl<A: Bits> Length<A> {
    /// From prefixes of one length.
    fn new(prefixes: &[(A, A, usize)]) -> Self {
        let count = (2 * prefixes.len()).next_power_of_two();
        let empty = Slot {
            network: prefixes[0].1,
            owner: NO_OWNER,
        };
        let mut slots = vec![empty; count].into_boxed_slice();
        for &(_, network, owner) in prefixes {
            let mut at = network.hash() & (count - 1);
            while slots[at].owner != NO_OWNER {
                at = (at + 1) & (count - 1);
            }
            let owner = owner as u32;
            slots[at] = Slot { network, owner };
        }
        Self {
            mask: prefixes[0].0,
            slots,
        }
    }

    #[inline]
    fn find(&self, address: A) -> Option<usize> {
        let network = address & self.mask;
        let last = self.slots.len() - 1;
        let mut at = network.hash() & last;
        loop {
            let Slot {
                network: other,
                owner,
            } = self.slots[at];
            if owner == NO_OWNER {
                return None;
            }
            if other == network {
                return Some(owner as usize);
            }
            at = (at + 1) & last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// Few distinct addresses, spread over the number range, so that prefixes nest and coincide. The IPv6 addresses start
    /// with the bits of the IPv4 addresses, to detect a lookup in the wrong family.
    fn spread(x: u32, v6: bool) -> IpAddr {
        let bits = (x & 7) | (x >> 3) << 29;
        if v6 {
            Ipv6Addr::from(u128::from(bits) << 96 | u128::from(x & 7)).into()
        } else {
            Ipv4Addr::from(bits).into()
        }
    }

    proptest! {
        /// A lookup returns the same owner as a scan of all prefixes.
        #[test]
        fn a_lookup_equals_a_scan(
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
