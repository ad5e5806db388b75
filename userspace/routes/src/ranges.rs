//! Longest-prefix match as a flat list of address ranges.
//!
//! All precedence (table, prefix length, metric, order) is resolved when the list is built: each route
//! overwrites the ranges of less preferred routes. A lookup is one binary search over disjoint ranges.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::family::Family;

/// The next hop of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop<A> {
    /// The route does not lead through the watched NIC, or refuses packets.
    Unreachable,
    /// The destination itself, which is on the link.
    OnLink,
    /// This neighbour.
    Gateway(A),
}

/// A routing table of the kernel. A match in a later variant takes precedence over every match in an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Default,
    Main,
    Local,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub table: Table,
    pub prefix: IpNet,
    pub metric: u32,
    pub hop: Hop<IpAddr>,
}

/// The first address of each range, ascending, with its hop. The first range starts at the
/// family's first address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ranges<A: Family>(Box<[(A::Bits, Hop<A>)]>);

impl<A: Family> Ranges<A> {
    /// Builds the ranges from the entries of family `A`, in the kernel's order. Of two entries with equal table,
    /// prefix and metric, the first is used.
    pub(crate) fn new(entries: &[Entry]) -> Self {
        let mut entries: Vec<(A, A, &Entry)> = entries
            .iter()
            .rev()
            .filter_map(|entry| ends(entry.prefix).map(|(first, last)| (first, last, entry)))
            .collect();
        entries.sort_by_key(|(_, _, e)| (e.table, e.prefix.prefix_len(), Reverse(e.metric)));

        let mut starts = BTreeMap::from([(A::FIRST, Hop::Unreachable)]);
        for (first, last, entry) in entries {
            overwrite(&mut starts, first, last, of_family(entry.hop));
        }
        for prefix in A::UNREACHABLE {
            if let Some((first, last)) = ends(*prefix) {
                overwrite(&mut starts, first, last, Hop::Unreachable);
            }
        }

        let mut ranges: Vec<(A::Bits, Hop<A>)> = starts.into_iter().collect();
        ranges.dedup_by_key(|(_, hop)| *hop);
        Self(ranges.into())
    }

    #[inline]
    pub(crate) fn hop(&self, destination: A) -> Hop<A> {
        let destination = destination.bits();
        let after = self.0.partition_point(|(start, _)| *start <= destination);
        self.0[..after]
            .last()
            .map_or(Hop::Unreachable, |(_, hop)| *hop)
    }

    /// The first and the last address of the range of `destination`, and its hop.
    pub(crate) fn range(&self, destination: A) -> (A, A, Hop<A>) {
        let bits = destination.bits();
        let after = self.0.partition_point(|(start, _)| *start <= bits);
        let Some((first, hop)) = self.0[..after].last() else {
            return (destination, destination, Hop::Unreachable);
        };
        let next = self.0.get(after).and_then(|(next, _)| A::before(*next));
        let last = A::from_bits(next.unwrap_or(A::LAST));
        (A::from_bits(*first), last, *hop)
    }
}

impl<A: Family> Default for Ranges<A> {
    fn default() -> Self {
        Self::new(&[])
    }
}

fn ends<A: Family>(prefix: IpNet) -> Option<(A, A)> {
    A::of(prefix.network()).zip(A::of(prefix.broadcast()))
}

/// Converts a hop to family `A`. A gateway of the other family is unreachable, because it has no entry among the
/// neighbours of this family.
fn of_family<A: Family>(hop: Hop<IpAddr>) -> Hop<A> {
    match hop {
        Hop::Unreachable => Hop::Unreachable,
        Hop::OnLink => Hop::OnLink,
        Hop::Gateway(gateway) => A::of(gateway).map_or(Hop::Unreachable, Hop::Gateway),
    }
}

fn overwrite<A: Family>(starts: &mut BTreeMap<A::Bits, Hop<A>>, first: A, last: A, hop: Hop<A>) {
    let (first, last) = (first.bits(), last.bits());
    if let Some(next) = A::after(last) {
        let resumed = starts.range(..=next).next_back().map(|(_, hop)| *hop);
        starts
            .entry(next)
            .or_insert(resumed.unwrap_or(Hop::Unreachable));
    }
    let covered: Vec<A::Bits> = starts
        .range(first..=last)
        .map(|(start, _)| *start)
        .collect();
    for start in covered {
        starts.remove(&start);
    }
    starts.insert(first, hop);
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// The reference: compares every route, as the kernel does.
    fn naive(entries: &[Entry], destination: IpAddr) -> Hop<IpAddr> {
        let never = match destination {
            IpAddr::V4(v4) => {
                v4.is_multicast() || v4.is_loopback() || v4.is_broadcast() || v4.octets()[0] == 0
            }
            IpAddr::V6(v6) => {
                v6.is_multicast()
                    || v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_unicast_link_local()
                    || v6.to_ipv4_mapped().is_some()
            }
        };
        if never {
            return Hop::Unreachable;
        }
        let mut best: Option<&Entry> = None;
        for entry in entries.iter().filter(|e| e.prefix.contains(&destination)) {
            let better = best.is_none_or(|b| {
                (
                    entry.table,
                    entry.prefix.prefix_len(),
                    Reverse(entry.metric),
                ) > (b.table, b.prefix.prefix_len(), Reverse(b.metric))
            });
            if better {
                best = Some(entry);
            }
        }
        match best.map_or(Hop::Unreachable, |e| e.hop) {
            Hop::Gateway(gateway) if gateway.is_ipv4() != destination.is_ipv4() => Hop::Unreachable,
            hop => hop,
        }
    }

    fn hop_to(v4: &Ranges<Ipv4Addr>, v6: &Ranges<Ipv6Addr>, destination: IpAddr) -> Hop<IpAddr> {
        fn widen<A: Family>(hop: Hop<A>) -> Hop<IpAddr> {
            match hop {
                Hop::Unreachable => Hop::Unreachable,
                Hop::OnLink => Hop::OnLink,
                Hop::Gateway(gateway) => Hop::Gateway(gateway.into()),
            }
        }
        match destination {
            IpAddr::V4(destination) => widen(v4.hop(destination)),
            IpAddr::V6(destination) => widen(v6.hop(destination)),
        }
    }

    /// Few distinct addresses, including both ends of the space, so that prefixes nest, touch and coincide.
    fn v4() -> impl Strategy<Value = Ipv4Addr> {
        let crowded = (
            prop::sample::select(vec![0u8, 10, 126, 127, 128, 223, 224, 239, 240, 255]),
            prop::sample::select(vec![0u8, 1, 255]),
            prop::sample::select(vec![0u8, 128, 255]),
            prop::sample::select(vec![0u8, 1, 2, 127, 128, 254, 255]),
        )
            .prop_map(|(a, b, c, d)| Ipv4Addr::new(a, b, c, d));
        prop_oneof![4 => crowded, 1 => any::<Ipv4Addr>()]
    }

    /// Few distinct addresses: at the start, around the mapped addresses, and at the end of the space.
    fn v6() -> impl Strategy<Value = Ipv6Addr> {
        let crowded = (
            prop::sample::select(vec![
                0u16, 1, 0x2001, 0xfd00, 0xfe7f, 0xfe80, 0xfebf, 0xfec0, 0xfeff, 0xff00, 0xffff,
            ]),
            prop::sample::select(vec![0u16, 1, 0xffff]),
            prop::sample::select(vec![0u16, 0xfffe, 0xffff]),
            prop::sample::select(vec![0u16, 0x8000, 0xffff]),
            prop::sample::select(vec![0u16, 1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff]),
        )
            .prop_map(|(a, d, f, g, h)| Ipv6Addr::new(a, 0, 0, d, 0, f, g, h));
        prop_oneof![4 => crowded, 1 => any::<Ipv6Addr>()]
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![v4().prop_map(IpAddr::V4), v6().prop_map(IpAddr::V6)]
    }

    fn prefix() -> impl Strategy<Value = IpNet> {
        prop_oneof![
            (v4(), 0u8..=32).prop_map(|(a, length)| IpNet::new_assert(a.into(), length)),
            (v6(), 0u8..=128).prop_map(|(a, length)| IpNet::new_assert(a.into(), length)),
        ]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let table = prop::sample::select(vec![Table::Default, Table::Main, Table::Local]);
        let hop = prop_oneof![
            Just(Hop::Unreachable),
            Just(Hop::OnLink),
            (1u8..=4).prop_map(|n| Hop::Gateway(Ipv4Addr::new(10, 0, 0, n).into())),
            (1u16..=4)
                .prop_map(|n| Hop::Gateway(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n).into())),
        ];
        (table, prefix(), 0u32..3, hop).prop_map(|(table, prefix, metric, hop)| Entry {
            table,
            prefix,
            metric,
            hop,
        })
    }

    /// The address at distance `step`, if there is one.
    fn beside(address: IpAddr, step: i8) -> Option<IpAddr> {
        match address {
            IpAddr::V4(a) => {
                let bits = a.to_bits().checked_add_signed(step.into());
                bits.map(|bits| Ipv4Addr::from_bits(bits).into())
            }
            IpAddr::V6(a) => {
                let bits = a.to_bits().checked_add_signed(step.into());
                bits.map(|bits| Ipv6Addr::from_bits(bits).into())
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_lookup_equals_the_naive_longest_prefix_match(
            entries in prop::collection::vec(entry(), 0..32),
            random in prop::collection::vec(address(), 32),
        ) {
            let (v4, v6) = (Ranges::new(&entries), Ranges::new(&entries));
            // The edges of every prefix, and the addresses outside them, are the likely errors of a range.
            let edges = entries.iter().flat_map(|e| {
                let (first, last) = (e.prefix.network(), e.prefix.broadcast());
                [beside(first, -1), Some(first), Some(last), beside(last, 1)]
            });
            for destination in edges.flatten().chain(random) {
                prop_assert_eq!(
                    hop_to(&v4, &v6, destination),
                    naive(&entries, destination),
                    "destination {}", destination
                );
            }
        }

        /// All addresses in the range of an address have its hop; the addresses beside the range do not.
        #[test]
        fn all_addresses_of_a_range_have_its_hop(
            entries in prop::collection::vec(entry(), 0..32),
            destinations in prop::collection::vec(address(), 32),
        ) {
            fn hold<A: Family>(ranges: &Ranges<A>, at: A, others: &[IpAddr]) -> Result<(), TestCaseError> {
                let (first, last, hop) = ranges.range(at);
                prop_assert!(first <= at && at <= last);
                let within = |other: &A| first <= *other && *other <= last;
                for other in others.iter().filter_map(|&other| A::of(other)).filter(within) {
                    prop_assert_eq!(ranges.hop(other), hop);
                }
                prop_assert_eq!((ranges.hop(first), ranges.hop(last)), (hop, hop));
                let beside = [A::before(first.bits()), A::after(last.bits())];
                for outside in beside.into_iter().flatten() {
                    prop_assert_ne!(ranges.hop(A::from_bits(outside)), hop);
                }
                Ok(())
            }
            let (v4, v6) = (Ranges::new(&entries), Ranges::new(&entries));
            for destination in &destinations {
                match *destination {
                    IpAddr::V4(at) => hold::<Ipv4Addr>(&v4, at, &destinations)?,
                    IpAddr::V6(at) => hold::<Ipv6Addr>(&v6, at, &destinations)?,
                }
            }
        }

        #[test]
        fn ranges_are_ascending_and_adjacent_ranges_differ(
            entries in prop::collection::vec(entry(), 0..32),
        ) {
            fn hold<A: Family>(ranges: &Ranges<A>) -> Result<(), TestCaseError> {
                prop_assert_eq!(ranges.0[0].0, A::FIRST);
                for pair in ranges.0.windows(2) {
                    prop_assert!(pair[0].0 < pair[1].0);
                    prop_assert_ne!(pair[0].1, pair[1].1);
                }
                Ok(())
            }
            hold(&Ranges::<Ipv4Addr>::new(&entries))?;
            hold(&Ranges::<Ipv6Addr>::new(&entries))?;
        }
    }
}
