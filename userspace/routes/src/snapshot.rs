use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::family::Family;
use crate::ranges::{Entry, Hop, Ranges, Table};

/// A unicast route through the watched NIC, as in the kernel's main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The destinations of the route.
    pub prefix: IpNet,
    /// The neighbour that forwards the packets, of the prefix's family. `None` for destinations on the link.
    pub gateway: Option<IpAddr>,
    /// Of two routes with the same prefix, the route with the lower metric is used.
    pub metric: u32,
}

/// The next hop of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The MAC address of the next hop.
    Ready([u8; 6]),
    /// The next hop, a gateway or the destination itself, without a known MAC address. Pass it to
    /// [`Watcher::resolve`](crate::Watcher::resolve).
    Unresolved(IpAddr),
    /// There is no next hop through the watched NIC. There is no route, the route uses another NIC or refuses
    /// packets (blackhole, unreachable, prohibit, throw), or the destination is local, loopback, broadcast,
    /// multicast or an IPv6 link-local address.
    Unreachable,
}

/// The kernel's routes and neighbours of one NIC, at one moment.
///
/// Built by [`Watcher`](crate::Watcher), or by [`Snapshot::new`] without a kernel. The default
/// snapshot is empty: every destination is unreachable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    v4: Tables<Ipv4Addr>,
    v6: Tables<Ipv6Addr>,
}

impl Snapshot {
    /// Creates a snapshot of these routes and resolved neighbours. Of routes with equal prefix and metric, the
    /// first is used; of neighbours with one address, the last. A gateway of another family than its prefix is
    /// unreachable.
    pub fn new(
        routes: impl IntoIterator<Item = Route>,
        neighbours: impl IntoIterator<Item = (IpAddr, [u8; 6])>,
    ) -> Self {
        let entries = routes.into_iter().map(|route| Entry {
            table: Table::Main,
            prefix: route.prefix,
            metric: route.metric,
            hop: route.gateway.map_or(Hop::OnLink, Hop::Gateway),
        });
        Self::of_routes(&entries.collect::<Vec<_>>()).with_neighbours(neighbours)
    }

    pub(crate) fn of_routes(entries: &[Entry]) -> Self {
        Self {
            v4: Tables::new(entries),
            v6: Tables::new(entries),
        }
    }

    /// The same routes with these neighbours instead.
    pub(crate) fn with_neighbours(
        &self,
        neighbours: impl IntoIterator<Item = (IpAddr, [u8; 6])>,
    ) -> Self {
        let (mut v4, mut v6) = (BTreeMap::new(), BTreeMap::new());
        for (address, mac) in neighbours {
            match address {
                IpAddr::V4(address) => v4.insert(address, mac),
                IpAddr::V6(address) => v6.insert(address, mac),
            };
        }
        Self {
            v4: self.v4.with_neighbours(v4),
            v6: self.v6.with_neighbours(v6),
        }
    }

    /// The next hop of a packet to `destination`. Two binary searches, no allocation.
    #[inline]
    pub fn lookup(&self, destination: IpAddr) -> Lookup {
        match destination {
            IpAddr::V4(destination) => self.v4.lookup(destination),
            IpAddr::V6(destination) => self.v6.lookup(destination),
        }
    }

    /// The first and the last address of a range around `destination` with the same next hop, and that next hop. A
    /// destination on the link is a range of its own.
    #[inline]
    pub fn lookup_range(&self, destination: IpAddr) -> (IpAddr, IpAddr, Lookup) {
        fn wide<A: Family>((first, last, hop): (A, A, Lookup)) -> (IpAddr, IpAddr, Lookup) {
            (first.into(), last.into(), hop)
        }
        match destination {
            IpAddr::V4(destination) => wide(self.v4.lookup_range(destination)),
            IpAddr::V6(destination) => wide(self.v6.lookup_range(destination)),
        }
    }

    /// The address of the next hop to `destination`, resolved or not. `None` if unreachable.
    #[inline]
    pub fn next_hop(&self, destination: IpAddr) -> Option<IpAddr> {
        match destination {
            IpAddr::V4(destination) => self.v4.next_hop(destination).map(IpAddr::V4),
            IpAddr::V6(destination) => self.v6.next_hop(destination).map(IpAddr::V6),
        }
    }

    /// The MAC address of this neighbour, if it is resolved.
    #[inline]
    pub fn neighbour(&self, address: IpAddr) -> Option<[u8; 6]> {
        match address {
            IpAddr::V4(address) => self.v4.neighbour(address),
            IpAddr::V6(address) => self.v6.neighbour(address),
        }
    }
}

/// The routes and neighbours of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tables<A: Family> {
    ranges: Arc<Ranges<A>>,
    /// Ascending by address.
    neighbours: Box<[(A, [u8; 6])]>,
}

impl<A: Family> Tables<A> {
    fn new(entries: &[Entry]) -> Self {
        Self {
            ranges: Arc::new(Ranges::new(entries)),
            neighbours: Box::default(),
        }
    }

    fn with_neighbours(&self, neighbours: BTreeMap<A, [u8; 6]>) -> Self {
        Self {
            ranges: Arc::clone(&self.ranges),
            neighbours: neighbours.into_iter().collect(),
        }
    }

    #[inline]
    fn lookup(&self, destination: A) -> Lookup {
        match self.next_hop(destination) {
            None => Lookup::Unreachable,
            Some(next) => self.lookup_neighbour(next),
        }
    }

    #[inline]
    fn lookup_range(&self, destination: A) -> (A, A, Lookup) {
        match self.ranges.range(destination) {
            (first, last, Hop::Unreachable) => (first, last, Lookup::Unreachable),
            (first, last, Hop::Gateway(gateway)) => (first, last, self.lookup_neighbour(gateway)),
            (_, _, Hop::OnLink) => (destination, destination, self.lookup_neighbour(destination)),
        }
    }

    #[inline]
    fn lookup_neighbour(&self, next: A) -> Lookup {
        match self.neighbour(next) {
            Some(mac) => Lookup::Ready(mac),
            None => Lookup::Unresolved(next.into()),
        }
    }

    #[inline]
    fn next_hop(&self, destination: A) -> Option<A> {
        match self.ranges.hop(destination) {
            Hop::Unreachable => None,
            Hop::OnLink => Some(destination),
            Hop::Gateway(gateway) => Some(gateway),
        }
    }

    #[inline]
    fn neighbour(&self, address: A) -> Option<[u8; 6]> {
        self.neighbours
            .binary_search_by_key(&address, |(address, _)| *address)
            .ok()
            .map(|found| self.neighbours[found].1)
    }
}

impl<A: Family> Default for Tables<A> {
    fn default() -> Self {
        Self::new(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const TWO: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn route(prefix: &str, gateway: Option<&str>, metric: u32) -> Route {
        Route {
            prefix: prefix.parse().unwrap(),
            gateway: gateway.map(ip),
            metric,
        }
    }

    #[test]
    fn a_snapshot_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<Snapshot>();
    }

    #[test]
    fn every_destination_of_an_empty_snapshot_is_unreachable() {
        let snapshot = Snapshot::default();
        assert_eq!(snapshot.lookup(ip("10.0.0.1")), Lookup::Unreachable);
        assert_eq!(snapshot.neighbour(ip("10.0.0.1")), None);
    }

    #[test]
    fn a_destination_on_the_link_is_its_own_next_hop() {
        let snapshot = Snapshot::new([route("10.1.0.0/24", None, 0)], [(ip("10.1.0.2"), TWO)]);
        assert_eq!(snapshot.lookup(ip("10.1.0.2")), Lookup::Ready(TWO));
        let other = ip("10.1.0.3");
        assert_eq!(snapshot.lookup(other), Lookup::Unresolved(other));
        assert_eq!(snapshot.lookup(ip("10.1.1.2")), Lookup::Unreachable);
    }

    #[test]
    fn destinations_behind_a_gateway_share_a_range_and_on_link_hosts_do_not() {
        let routes = [
            route("10.0.0.0/8", Some("10.1.0.1"), 0),
            route("10.1.0.0/24", None, 0),
        ];
        let snapshot = Snapshot::new(routes, [(ip("10.1.0.1"), ONE), (ip("10.1.0.2"), TWO)]);
        let range = |text| snapshot.lookup_range(ip(text));
        let behind = (ip("10.1.1.0"), ip("10.255.255.255"), Lookup::Ready(ONE));
        assert_eq!(range("10.1.1.0"), behind);
        assert_eq!(range("10.9.0.7"), behind);
        let host = ip("10.1.0.2");
        assert_eq!(range("10.1.0.2"), (host, host, Lookup::Ready(TWO)));
        let other = ip("10.1.0.3");
        assert_eq!(range("10.1.0.3"), (other, other, Lookup::Unresolved(other)));
        assert_eq!(range("11.0.0.1").2, Lookup::Unreachable);
    }

    #[test]
    fn no_ipv6_range_contains_ipv4_mapped_addresses() {
        let routes = [route("::/0", Some("fd00::1"), 0)];
        let snapshot = Snapshot::new(routes, [(ip("fd00::1"), ONE)]);
        let (first, last) = (ip("::ffff:0.0.0.0"), ip("::ffff:255.255.255.255"));
        for beside in ["::2", "2001:db8::1"] {
            let range = snapshot.lookup_range(ip(beside));
            assert_eq!(range.2, Lookup::Ready(ONE));
            assert!(range.1 < first || last < range.0, "{range:?}");
        }
    }

    #[test]
    fn a_gateway_is_the_next_hop_of_its_destinations() {
        let routes = [
            route("0.0.0.0/0", Some("10.1.0.1"), 0),
            route("10.1.0.0/24", None, 0),
            route("10.2.0.0/16", Some("10.1.0.9"), 0),
        ];
        let snapshot = Snapshot::new(routes, [(ip("10.1.0.1"), ONE)]);
        assert_eq!(snapshot.lookup(ip("198.51.100.7")), Lookup::Ready(ONE));
        assert_eq!(snapshot.next_hop(ip("198.51.100.7")), Some(ip("10.1.0.1")));
        assert_eq!(
            snapshot.lookup(ip("10.2.3.4")),
            Lookup::Unresolved(ip("10.1.0.9"))
        );
    }

    #[test]
    fn an_onlink_gateway_needs_no_route_of_its_own() {
        let gateway = ip("203.0.113.1");
        let snapshot = Snapshot::new(
            [route("0.0.0.0/1", Some("203.0.113.1"), 0)],
            [(gateway, ONE)],
        );
        assert_eq!(snapshot.lookup(ip("8.8.8.8")), Lookup::Ready(ONE));
        assert_eq!(snapshot.lookup(gateway), Lookup::Unreachable);
    }

    #[test]
    fn the_lower_metric_is_used_and_then_the_first_route() {
        let routes = [
            route("10.2.0.0/16", Some("10.1.0.3"), 100),
            route("10.2.0.0/16", Some("10.1.0.1"), 50),
            route("10.2.0.0/16", Some("10.1.0.2"), 50),
        ];
        let snapshot = Snapshot::new(routes, []);
        assert_eq!(snapshot.next_hop(ip("10.2.0.1")), Some(ip("10.1.0.1")));
    }

    #[test]
    fn addresses_that_are_not_unicast_are_unreachable_despite_routes() {
        let all = ["0.0.0.0/0", "127.0.0.1/32", "255.255.255.255/32"];
        let snapshot = Snapshot::new(all.map(|prefix| route(prefix, None, 0)), []);
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
        ] {
            assert_eq!(snapshot.lookup(ip(never)), Lookup::Unreachable, "{never}");
        }
        for edge in ["1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255"] {
            assert_eq!(snapshot.lookup(ip(edge)), Lookup::Unresolved(ip(edge)));
        }
    }

    #[test]
    fn ipv6_destinations_use_the_ipv6_tables() {
        let (gateway, host) = (ip("fe80::1"), ip("fd00:1::2"));
        let routes = [
            route("0.0.0.0/0", Some("10.1.0.1"), 0),
            route("::/0", Some("fe80::1"), 0),
            route("fd00:1::/64", None, 0),
        ];
        let snapshot = Snapshot::new(routes, [(gateway, ONE), (ip("10.1.0.1"), TWO)]);
        assert_eq!(snapshot.lookup(ip("2001:db8::7")), Lookup::Ready(ONE));
        assert_eq!(snapshot.next_hop(ip("2001:db8::7")), Some(gateway));
        assert_eq!(snapshot.lookup(host), Lookup::Unresolved(host));
        assert_eq!(snapshot.lookup(ip("198.51.100.7")), Lookup::Ready(TWO));
    }

    #[test]
    fn ipv6_addresses_that_are_not_global_unicast_are_unreachable() {
        let all = ["::/0", "::1/128", "fe80::/64", "ff02::1/128"];
        let snapshot = Snapshot::new(all.map(|prefix| route(prefix, None, 0)), []);
        for never in [
            "::",
            "::1",
            "::ffff:10.1.0.2",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(snapshot.lookup(ip(never)), Lookup::Unreachable, "{never}");
        }
        for edge in ["::2", "::fffe:ffff:ffff", "fe7f::", "fec0::", "feff::"] {
            assert_eq!(snapshot.lookup(ip(edge)), Lookup::Unresolved(ip(edge)));
        }
    }

    #[test]
    fn a_gateway_of_the_other_family_is_unreachable() {
        let routes = [
            route("10.2.0.0/16", Some("fe80::1"), 0),
            route("fd00:2::/64", Some("10.1.0.1"), 0),
        ];
        let snapshot = Snapshot::new(routes, [(ip("fe80::1"), ONE), (ip("10.1.0.1"), TWO)]);
        assert_eq!(snapshot.lookup(ip("10.2.0.1")), Lookup::Unreachable);
        assert_eq!(snapshot.lookup(ip("fd00:2::1")), Lookup::Unreachable);
    }

    #[test]
    fn host_bits_in_a_prefix_are_ignored() {
        let snapshot = Snapshot::new([route("10.1.0.77/24", None, 0)], []);
        let first = ip("10.1.0.1");
        assert_eq!(snapshot.lookup(first), Lookup::Unresolved(first));
    }

    #[test]
    fn of_two_macs_for_one_neighbour_the_last_is_used() {
        let address = ip("10.1.0.2");
        let snapshot = Snapshot::new([], [(address, ONE), (address, TWO)]);
        assert_eq!(snapshot.neighbour(address), Some(TWO));
    }
}
