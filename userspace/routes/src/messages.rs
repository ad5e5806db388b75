//! Conversion of the kernel's route, neighbour and address messages for one NIC.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteType,
};

use crate::ranges::{Entry, Hop, Table};

/// The kernel's entry of one neighbour of the watched NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub address: IpAddr,
    /// Present while the kernel itself would send packets to it.
    pub mac: Option<[u8; 6]>,
    pub state: NeighbourState,
}

impl Neighbour {
    /// The MAC address was not confirmed recently, and no probe is in progress.
    pub(crate) fn is_stale(&self) -> bool {
        self.state == NeighbourState::Stale
    }

    /// An administrator set the entry, or the NIC has no neighbour resolution. The entry must not be probed.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(
            self.state,
            NeighbourState::Permanent | NeighbourState::Noarp
        )
    }

    /// A resolution is in progress, without an answer so far.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.state == NeighbourState::Incomplete
    }
}

/// The route as a route of `interface`. `None` for a message that does not affect forwarding by destination.
///
/// A route through another NIC is kept as unreachable, because it takes precedence over shorter prefixes through
/// `interface`. Of a multipath route, all packets use the first live hop on `interface`, so that no flow is spread
/// over paths.
pub(crate) fn route(message: &RouteMessage, interface: u32) -> Option<Entry> {
    let header = &message.header;
    let mut destination = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    // Cloned entries are path-MTU and redirect exceptions of single hosts, not routes.
    if header.tos != 0
        || header.source_prefix_length != 0
        || header.flags.contains(RouteFlags::Cloned)
        || header.flags.contains(RouteFlags::Dead)
    {
        return None;
    }

    let mut table = u32::from(header.table);
    let mut metric = 0;
    let mut encapsulated = false;
    let mut multipath = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(id) => table = *id,
            RouteAttribute::Destination(address) => destination = ip(address)?,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::EncapType(_) => encapsulated = true,
            RouteAttribute::MultiPath(hops) => multipath = Some(hops),
            _ => {}
        }
    }

    let hop = match multipath {
        _ if header.kind != RouteType::Unicast || encapsulated => Hop::Unreachable,
        Some(hops) => first_hop(hops, interface),
        None if output(&message.attributes) == Some(interface) => hop(&message.attributes),
        None => Hop::Unreachable,
    };
    Some(Entry {
        table: match table {
            // The kernel has no IPv6 rule for this table.
            253 if destination.is_ipv4() => Table::Default,
            254 => Table::Main,
            255 => Table::Local,
            _ => return None,
        },
        prefix: IpNet::new(destination, header.destination_prefix_length).ok()?,
        metric,
        hop,
    })
}

fn first_hop(hops: &[RouteNextHop], interface: u32) -> Hop<IpAddr> {
    hops.iter()
        .find(|h| h.interface_index == interface && !h.flags.contains(RouteNextHopFlags::Dead))
        .map_or(Hop::Unreachable, |h| hop(&h.attributes))
}

fn output(attributes: &[RouteAttribute]) -> Option<u32> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn hop(attributes: &[RouteAttribute]) -> Hop<IpAddr> {
    let mut hop = Hop::OnLink;
    for attribute in attributes {
        match attribute {
            RouteAttribute::Gateway(address) => {
                hop = ip(address).map_or(Hop::Unreachable, Hop::Gateway);
            }
            // RTA_VIA is an IPv6 gateway, which has no entry among the IPv4 neighbours.
            RouteAttribute::Via(_) | RouteAttribute::EncapType(_) => return Hop::Unreachable,
            _ => {}
        }
    }
    hop
}

pub(crate) fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

/// The neighbour, if it is on `interface`.
pub(crate) fn neighbour(message: &NeighbourMessage, interface: u32) -> Option<Neighbour> {
    let header = &message.header;
    if header.ifindex != interface || header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let mut address = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => {
                address = Some(IpAddr::V4(*ip));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => {
                address = Some(IpAddr::V6(*ip));
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok(),
            _ => {}
        }
    }
    Some(Neighbour {
        // The kernel's tables also hold multicast groups, which are never next hops.
        address: address.filter(|address| !address.is_multicast())?,
        mac: mac.filter(|_| usable(header.state)),
        state: header.state,
    })
}

/// The states of the kernel's NUD_VALID. A failed entry may still contain an old MAC address.
fn usable(state: NeighbourState) -> bool {
    matches!(
        state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp
    )
}

/// The address and its subnet, if it is an address of `interface`.
pub(crate) fn address(message: &AddressMessage, interface: u32) -> Option<IpNet> {
    if message.header.index != interface {
        return None;
    }
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| {
        message.attributes.iter().find_map(wanted)
    };
    // On a point-to-point link IFA_ADDRESS is the peer's address and IFA_LOCAL the local address. IPv6 sends
    // IFA_LOCAL only on such links.
    let local = find(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let own = local.or_else(|| {
        find(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    });
    IpNet::new(own?, message.header.prefix_len).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERFACE: u32 = 7;

    fn v4(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    fn gateway(text: &str) -> RouteAttribute {
        RouteAttribute::Gateway(RouteAddress::Inet(v4(text)))
    }

    fn message(attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.kind = RouteType::Unicast;
        message.header.table = 254;
        message.header.destination_prefix_length = 16;
        message.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet(v4(
            "10.2.0.0",
        )))];
        message.attributes.extend(attributes);
        message
    }

    fn hop_of(message: &RouteMessage) -> Option<Hop<IpAddr>> {
        route(message, INTERFACE).map(|entry| entry.hop)
    }

    #[test]
    fn a_route_through_the_nic_is_on_link_or_has_a_gateway() {
        let direct = message(vec![
            RouteAttribute::Oif(INTERFACE),
            RouteAttribute::Priority(42),
        ]);
        let expected = Entry {
            table: Table::Main,
            prefix: "10.2.0.0/16".parse().unwrap(),
            metric: 42,
            hop: Hop::OnLink,
        };
        assert_eq!(route(&direct, INTERFACE), Some(expected));
        let routed = message(vec![gateway("10.1.0.1"), RouteAttribute::Oif(INTERFACE)]);
        assert_eq!(hop_of(&routed), Some(Hop::Gateway(v4("10.1.0.1").into())));
    }

    #[test]
    fn a_route_through_another_nic_is_unreachable() {
        let foreign = message(vec![
            gateway("10.1.0.1"),
            RouteAttribute::Oif(INTERFACE + 1),
        ]);
        assert_eq!(hop_of(&foreign), Some(Hop::Unreachable));
    }

    #[test]
    fn only_unicast_routes_are_reachable() {
        for kind in [
            RouteType::Local,
            RouteType::Broadcast,
            RouteType::Anycast,
            RouteType::Multicast,
            RouteType::BlackHole,
            RouteType::Unreachable,
            RouteType::Prohibit,
            RouteType::Throw,
        ] {
            let mut refusing = message(vec![RouteAttribute::Oif(INTERFACE)]);
            refusing.header.kind = kind;
            assert_eq!(hop_of(&refusing), Some(Hop::Unreachable), "{kind:?}");
        }
    }

    #[test]
    fn a_multipath_route_uses_the_first_live_hop_on_the_nic() {
        let path = |interface_index, flags, via| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = interface_index;
            hop.flags = flags;
            hop.attributes = vec![gateway(via)];
            hop
        };
        let live = RouteNextHopFlags::empty();
        let mut paths = vec![
            path(INTERFACE + 1, live, "10.9.0.1"),
            path(INTERFACE, RouteNextHopFlags::Dead, "10.1.0.1"),
        ];
        let none = message(vec![RouteAttribute::MultiPath(paths.clone())]);
        assert_eq!(hop_of(&none), Some(Hop::Unreachable));
        paths.push(path(INTERFACE, live, "10.1.0.2"));
        paths.push(path(INTERFACE, live, "10.1.0.3"));
        let some = message(vec![RouteAttribute::MultiPath(paths)]);
        assert_eq!(hop_of(&some), Some(Hop::Gateway(v4("10.1.0.2").into())));
    }

    #[test]
    fn exceptions_dead_routes_and_other_tables_are_ignored() {
        let plain = message(vec![RouteAttribute::Oif(INTERFACE)]);
        assert!(route(&plain, INTERFACE).is_some());
        for flags in [RouteFlags::Cloned, RouteFlags::Dead] {
            let mut flagged = plain.clone();
            flagged.header.flags = flags;
            assert_eq!(route(&flagged, INTERFACE), None, "{flags:?}");
        }
        let mut by_tos = plain.clone();
        by_tos.header.tos = 0x10;
        assert_eq!(route(&by_tos, INTERFACE), None);
        let other = message(vec![
            RouteAttribute::Oif(INTERFACE),
            RouteAttribute::Table(100),
        ]);
        assert_eq!(route(&other, INTERFACE), None);
    }

    #[test]
    fn ipv6_routes_come_from_main_or_local_and_have_no_source_prefix() {
        let link_local: Ipv6Addr = "fe80::1".parse().unwrap();
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet6;
        message.header.kind = RouteType::Unicast;
        message.header.table = 254;
        message.attributes = vec![
            RouteAttribute::Oif(INTERFACE),
            RouteAttribute::Gateway(RouteAddress::Inet6(link_local)),
        ];
        let expected = Entry {
            table: Table::Main,
            prefix: "::/0".parse().unwrap(),
            metric: 0,
            hop: Hop::Gateway(link_local.into()),
        };
        assert_eq!(route(&message, INTERFACE), Some(expected));
        message.header.table = 255;
        let of_table = |message: &RouteMessage| route(message, INTERFACE).map(|entry| entry.table);
        assert_eq!(of_table(&message), Some(Table::Local));
        message.header.table = 253;
        assert_eq!(of_table(&message), None);
        message.header.address_family = AddressFamily::Inet;
        assert_eq!(of_table(&message), Some(Table::Default));
        message.header.source_prefix_length = 64;
        assert_eq!(of_table(&message), None);
    }

    #[test]
    fn an_encapsulated_route_and_an_ipv6_gateway_are_unreachable() {
        use rtnetlink::packet_route::route::{RouteLwEnCapType, RouteVia};
        let tunnel = RouteAttribute::EncapType(RouteLwEnCapType::Mpls);
        let via = RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap()));
        for attribute in [tunnel, via] {
            let message = message(vec![RouteAttribute::Oif(INTERFACE), attribute]);
            assert_eq!(hop_of(&message), Some(Hop::Unreachable));
        }
    }

    #[test]
    fn a_neighbour_has_a_mac_while_the_kernel_would_send_to_it() {
        use NeighbourState::*;
        let expectations = [
            (Reachable, true),
            (Stale, true),
            (Delay, true),
            (Probe, true),
            (Permanent, true),
            (Noarp, true),
            (Incomplete, false),
            (Failed, false),
            (None, false),
            (Other(0x200), false),
        ];
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = INTERFACE;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4("10.1.0.2"))),
            NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 2]),
        ];
        for (state, usable) in expectations {
            message.header.state = state;
            let expected = Neighbour {
                address: v4("10.1.0.2").into(),
                mac: usable.then_some([2, 0, 0, 0, 0, 2]),
                state,
            };
            assert_eq!(neighbour(&message, INTERFACE), Some(expected), "{state:?}");
        }
        assert_eq!(neighbour(&message, INTERFACE + 1), Option::None);
    }

    #[test]
    fn a_link_layer_address_of_another_length_is_ignored() {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = INTERFACE;
        message.header.state = NeighbourState::Permanent;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4("10.1.0.2"))),
            NeighbourAttribute::LinkLayerAddress(vec![10, 0, 0, 1]),
        ];
        assert_eq!(neighbour(&message, INTERFACE).and_then(|n| n.mac), None);
    }
}
