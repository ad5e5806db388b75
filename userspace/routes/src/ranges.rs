//! Longest-prefix match as a flat list of address ranges.
//!
//! All precedence (table, prefix length, metric, order) is settled when the list is built: each
//! route paints its range over the less preferred ones. What remains for a lookup is one binary
//! search over disjoint ranges.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Where a route sends its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop {
    /// Nowhere that a worker could reach through the watched NIC.
    Unreachable,
    /// To the destination itself, which is on the link.
    OnLink,
    /// To this neighbour.
    Gateway(Ipv4Addr),
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
    pub prefix: Ipv4Net,
    pub metric: u32,
    pub hop: Hop,
}

/// Never a unicast destination on a wire, whatever the routes say: "this network" and loopback
/// (RFC 1122 section 3.2.1.3), multicast (RFC 5771), limited broadcast (RFC 919 section 7).
const NEVER: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::BROADCAST, 32),
];

/// The first address of each range, ascending, with its hop. The first range starts at 0.0.0.0.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ranges(Box<[(u32, Hop)]>);

impl Ranges {
    /// Entries in the kernel's order: of two alike in table, prefix and metric the first wins.
    pub(crate) fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        entries.reverse();
        entries.sort_by_key(|e| (e.table, e.prefix.prefix_len(), Reverse(e.metric)));

        let mut starts = BTreeMap::from([(0, Hop::Unreachable)]);
        for entry in &entries {
            let (first, last) = (entry.prefix.network(), entry.prefix.broadcast());
            paint(&mut starts, first, last, entry.hop);
        }
        for (address, length) in NEVER {
            let prefix = Ipv4Net::new_assert(address, length);
            paint(
                &mut starts,
                prefix.network(),
                prefix.broadcast(),
                Hop::Unreachable,
            );
        }

        let mut ranges: Vec<(u32, Hop)> = starts.into_iter().collect();
        ranges.dedup_by_key(|(_, hop)| *hop);
        Self(ranges.into())
    }

    pub(crate) fn hop(&self, destination: Ipv4Addr) -> Hop {
        let destination = destination.to_bits();
        let after = self.0.partition_point(|(start, _)| *start <= destination);
        self.0[..after]
            .last()
            .map_or(Hop::Unreachable, |(_, hop)| *hop)
    }
}

impl Default for Ranges {
    fn default() -> Self {
        Self::new([])
    }
}

fn paint(starts: &mut BTreeMap<u32, Hop>, first: Ipv4Addr, last: Ipv4Addr, hop: Hop) {
    let (first, last) = (first.to_bits(), last.to_bits());
    if let Some(next) = last.checked_add(1) {
        let resumed = starts.range(..=next).next_back().map(|(_, hop)| *hop);
        starts
            .entry(next)
            .or_insert(resumed.unwrap_or(Hop::Unreachable));
    }
    let covered: Vec<u32> = starts
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
    use proptest::prelude::*;

    use super::*;

    /// What the kernel does, one route after the other.
    fn naive(entries: &[Entry], destination: Ipv4Addr) -> Hop {
        let never = destination.is_multicast()
            || destination.is_loopback()
            || destination.is_broadcast()
            || destination.octets()[0] == 0;
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
        best.map_or(Hop::Unreachable, |e| e.hop)
    }

    /// Few distinct addresses, so that prefixes nest, touch and coincide; both ends of the space.
    fn address() -> impl Strategy<Value = Ipv4Addr> {
        let crowded = (
            prop::sample::select(vec![0u8, 10, 126, 127, 128, 223, 224, 239, 240, 255]),
            prop::sample::select(vec![0u8, 1, 255]),
            prop::sample::select(vec![0u8, 128, 255]),
            prop::sample::select(vec![0u8, 1, 2, 127, 128, 254, 255]),
        )
            .prop_map(|(a, b, c, d)| Ipv4Addr::new(a, b, c, d));
        prop_oneof![4 => crowded, 1 => any::<Ipv4Addr>()]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let table = prop::sample::select(vec![Table::Default, Table::Main, Table::Local]);
        let hop = prop_oneof![
            Just(Hop::Unreachable),
            Just(Hop::OnLink),
            (1u8..=4).prop_map(|n| Hop::Gateway(Ipv4Addr::new(10, 0, 0, n))),
        ];
        (table, address(), 0u8..=32, 0u32..3, hop).prop_map(
            |(table, address, length, metric, hop)| Entry {
                table,
                prefix: Ipv4Net::new_assert(address, length),
                metric,
                hop,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_lookup_equals_the_naive_longest_prefix_match(
            entries in prop::collection::vec(entry(), 0..24),
            random in prop::collection::vec(address(), 32),
        ) {
            let ranges = Ranges::new(entries.clone());
            // The edges of every prefix, and their outer neighbours, are where a range goes wrong.
            let edges = entries.iter().flat_map(|e| {
                let (first, last) = (e.prefix.network().to_bits(), e.prefix.broadcast().to_bits());
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
            });
            for destination in edges.map(Ipv4Addr::from_bits).chain(random) {
                prop_assert_eq!(
                    ranges.hop(destination),
                    naive(&entries, destination),
                    "destination {}", destination
                );
            }
        }

        #[test]
        fn ranges_are_ascending_and_never_alike_side_by_side(
            entries in prop::collection::vec(entry(), 0..24),
        ) {
            let ranges = Ranges::new(entries);
            prop_assert_eq!(ranges.0[0].0, 0);
            for pair in ranges.0.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0);
                prop_assert_ne!(pair[0].1, pair[1].1);
            }
        }
    }
}
