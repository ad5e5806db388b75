//! Longest-prefix match as a flat list of address ranges.
//!
//! All precedence (table, prefix length, metric, order) is settled when the list is built: each
//! route paints its range over the less preferred ones. What remains for a lookup is one binary
//! search over disjoint ranges.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::family::Family;

/// Where a route sends its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop<A> {
    /// Nowhere that a worker could reach through the watched NIC.
    Unreachable,
    /// To the destination itself, which is on the link.
    OnLink,
    /// To this neighbour.
    Gateway(A),
}

/// A table of the kernel; a match in a later variant hides every match in an earlier one.
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
    /// The entries of family `A`, in the kernel's order: of two alike in table, prefix and metric
    /// the first wins.
    pub(crate) fn new(entries: &[Entry]) -> Self {
        let mut entries: Vec<(A, A, &Entry)> = entries
            .iter()
            .rev()
            .filter_map(|entry| ends(entry.prefix).map(|(first, last)| (first, last, entry)))
            .collect();
        entries.sort_by_key(|(_, _, e)| (e.table, e.prefix.prefix_len(), Reverse(e.metric)));

        let mut starts = BTreeMap::from([(A::FIRST, Hop::Unreachable)]);
        for (first, last, entry) in entries {
            paint(&mut starts, first, last, within(entry.hop));
        }
        for prefix in A::NEVER {
            if let Some((first, last)) = ends(*prefix) {
                paint(&mut starts, first, last, Hop::Unreachable);
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
    pub(crate) fn around(&self, destination: A) -> (A, A, Hop<A>) {
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

/// A gateway of the other family is one that this family's neighbours know nothing of.
fn within<A: Family>(hop: Hop<IpAddr>) -> Hop<A> {
    match hop {
        Hop::Unreachable => Hop::Unreachable,
        Hop::OnLink => Hop::OnLink,
        Hop::Gateway(gateway) => A::of(gateway).map_or(Hop::Unreachable, Hop::Gateway),
    }
}

fn paint<A: Family>(starts: &mut BTreeMap<A::Bits, Hop<A>>, first: A, last: A, hop: Hop<A>) {
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

    /// What the kernel does, one route after the other.
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

    /// Few distinct addresses, so that prefixes nest, touch and coincide; both ends of the space.
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

    /// The same: the words at the front, around the mapped addresses, and at the end.
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

    /// The address `step` away, if there is one.
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
            // The edges of every prefix, and their outer neighbours, are where a range goes wrong.
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

        /// Whatever lies in the range of an address shares its hop; the addresses beside the range do not.
        #[test]
        fn around_an_address_all_share_its_hop(
            entries in prop::collection::vec(entry(), 0..32),
            destinations in prop::collection::vec(address(), 32),
        ) {
            fn hold<A: Family>(ranges: &Ranges<A>, at: A, others: &[IpAddr]) -> Result<(), TestCaseError> {
                let (first, last, hop) = ranges.around(at);
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
        fn ranges_are_ascending_and_never_alike_side_by_side(
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
