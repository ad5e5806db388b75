//! What the kernel's route and neighbour messages mean for one NIC.

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

/// What the kernel holds about one neighbour of the watched NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub address: IpAddr,
    /// Present while the kernel itself would send to it.
    pub mac: Option<[u8; 6]>,
    pub state: NeighbourState,
}

impl Neighbour {
    /// The MAC address has not been confirmed for a while and nothing is under way to do so.
    pub(crate) fn is_stale(&self) -> bool {
        self.state == NeighbourState::Stale
    }

    /// An administrator's word, which needs no confirmation; or there is nobody to ask.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(
            self.state,
            NeighbourState::Permanent | NeighbourState::Noarp
        )
    }

    /// It was asked for and has not answered yet.
    pub(crate) fn is_awaited(&self) -> bool {
        self.state == NeighbourState::Incomplete
    }
}

/// The route as `interface` sees it; `None` for what takes no part in
/// decisions about forwarding by destination.
///
/// A route that leads out of another NIC is kept, as unreachable: it hides shorter prefixes of
/// ours, as it does in the kernel. Of a multipath route the first live hop on `interface` is
/// used for all packets, so that no flow is spread over paths.
pub(crate) fn route(message: &RouteMessage, interface: u32) -> Option<Entry> {
    let header = &message.header;
    // Cloned entries are path-MTU and redirect exceptions of single hosts, not routes.
    let mut destination = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
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
            // No rule of the kernel leads an IPv6 packet there.
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
            // RTA_VIA is an IPv6 gateway, which IPv4 neighbours know nothing of.
            RouteAttribute::Via(_) | RouteAttribute::EncapType(_) => return Hop::Unreachable,
            _ => {}
        }
    }
    hop
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

/// The neighbour, if it is one on `interface`.
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
        // Groups are in the kernel's tables too, but never anybody's next hop.
        address: address.filter(|address| !address.is_multicast())?,
        mac: mac.filter(|_| usable(header.state)),
        state: header.state,
    })
}

/// The kernel's NUD_VALID. A failed entry may still carry the MAC address it once had.
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

/// The interface's own address and its subnet, if it is an address of `interface`.
pub(crate) fn address(message: &AddressMessage, interface: u32) -> Option<IpNet> {
    if message.header.index != interface {
        return None;
    }
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| {
        message.attributes.iter().find_map(wanted)
    };
    // On a point-to-point link IFA_ADDRESS is the far end, and IFA_LOCAL always ours. IPv6 says
    // IFA_LOCAL on such links alone.
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

    const OURS: u32 = 7;

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
        route(message, OURS).map(|entry| entry.hop)
    }

    #[test]
    fn a_route_through_our_nic_is_on_the_link_or_behind_its_gateway() {
        let direct = message(vec![
            RouteAttribute::Oif(OURS),
            RouteAttribute::Priority(42),
        ]);
        let expected = Entry {
            table: Table::Main,
            prefix: "10.2.0.0/16".parse().unwrap(),
            metric: 42,
            hop: Hop::OnLink,
        };
        assert_eq!(route(&direct, OURS), Some(expected));
        let routed = message(vec![gateway("10.1.0.1"), RouteAttribute::Oif(OURS)]);
        assert_eq!(hop_of(&routed), Some(Hop::Gateway(v4("10.1.0.1").into())));
    }

    #[test]
    fn a_route_through_another_nic_hides_ours() {
        let foreign = message(vec![gateway("10.1.0.1"), RouteAttribute::Oif(OURS + 1)]);
        assert_eq!(hop_of(&foreign), Some(Hop::Unreachable));
    }

    #[test]
    fn only_unicast_routes_lead_anywhere() {
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
            let mut refusing = message(vec![RouteAttribute::Oif(OURS)]);
            refusing.header.kind = kind;
            assert_eq!(hop_of(&refusing), Some(Hop::Unreachable), "{kind:?}");
        }
    }

    #[test]
    fn of_several_paths_the_first_live_one_on_our_nic_is_used() {
        let path = |interface_index, flags, via| {
            let mut hop = RouteNextHop::default();
            hop.interface_index = interface_index;
            hop.flags = flags;
            hop.attributes = vec![gateway(via)];
            hop
        };
        let live = RouteNextHopFlags::empty();
        let mut paths = vec![
            path(OURS + 1, live, "10.9.0.1"),
            path(OURS, RouteNextHopFlags::Dead, "10.1.0.1"),
        ];
        let none = message(vec![RouteAttribute::MultiPath(paths.clone())]);
        assert_eq!(hop_of(&none), Some(Hop::Unreachable));
        paths.push(path(OURS, live, "10.1.0.2"));
        paths.push(path(OURS, live, "10.1.0.3"));
        let some = message(vec![RouteAttribute::MultiPath(paths)]);
        assert_eq!(hop_of(&some), Some(Hop::Gateway(v4("10.1.0.2").into())));
    }

    #[test]
    fn exceptions_dead_routes_and_other_tables_are_left_out() {
        let plain = message(vec![RouteAttribute::Oif(OURS)]);
        assert!(route(&plain, OURS).is_some());
        for flags in [RouteFlags::Cloned, RouteFlags::Dead] {
            let mut flagged = plain.clone();
            flagged.header.flags = flags;
            assert_eq!(route(&flagged, OURS), None, "{flags:?}");
        }
        let mut by_tos = plain.clone();
        by_tos.header.tos = 0x10;
        assert_eq!(route(&by_tos, OURS), None);
        let other = message(vec![RouteAttribute::Oif(OURS), RouteAttribute::Table(100)]);
        assert_eq!(route(&other, OURS), None);
    }

    #[test]
    fn an_ipv6_route_is_one_of_main_or_local_and_by_destination_alone() {
        let link_local: Ipv6Addr = "fe80::1".parse().unwrap();
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet6;
        message.header.kind = RouteType::Unicast;
        message.header.table = 254;
        message.attributes = vec![
            RouteAttribute::Oif(OURS),
            RouteAttribute::Gateway(RouteAddress::Inet6(link_local)),
        ];
        let expected = Entry {
            table: Table::Main,
            prefix: "::/0".parse().unwrap(),
            metric: 0,
            hop: Hop::Gateway(link_local.into()),
        };
        assert_eq!(route(&message, OURS), Some(expected));
        message.header.table = 255;
        let of_table = |message: &RouteMessage| route(message, OURS).map(|entry| entry.table);
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
            let message = message(vec![RouteAttribute::Oif(OURS), attribute]);
            assert_eq!(hop_of(&message), Some(Hop::Unreachable));
        }
    }

    #[test]
    fn a_neighbour_is_usable_while_the_kernel_would_send_to_it() {
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
        message.header.ifindex = OURS;
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
            assert_eq!(neighbour(&message, OURS), Some(expected), "{state:?}");
        }
        assert_eq!(neighbour(&message, OURS + 1), Option::None);
    }

    #[test]
    fn a_link_layer_address_that_is_not_a_mac_is_no_address() {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = OURS;
        message.header.state = NeighbourState::Permanent;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4("10.1.0.2"))),
            NeighbourAttribute::LinkLayerAddress(vec![10, 0, 0, 1]),
        ];
        assert_eq!(neighbour(&message, OURS).and_then(|n| n.mac), None);
    }
}
