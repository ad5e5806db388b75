//! Determines the lists that a notification of the kernel makes outdated.

use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::messages;
use crate::snapshot::Snapshot;

/// The lists that have to be read from the kernel again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Outdated {
    pub routes: bool,
    pub neighbours: bool,
}

impl Outdated {
    pub(crate) const ALL: Self = Self {
        routes: true,
        neighbours: true,
    };

    pub(crate) fn any(self) -> bool {
        self.routes || self.neighbours
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            routes: self.routes || other.routes,
            neighbours: self.neighbours || other.neighbours,
        }
    }
}

/// The lists that this notification makes outdated, compared with the `published` snapshot of `interface`.
pub(crate) fn outdated(
    notification: &RouteNetlinkMessage,
    interface: u32,
    published: &Snapshot,
) -> Outdated {
    use RouteNetlinkMessage::*;
    let neighbour = |message| messages::neighbour(message, interface);
    match notification {
        // When a NIC goes down, the kernel removes its routes without a notification for each.
        NewLink(link) => Outdated {
            routes: true,
            neighbours: link.header.index == interface,
        },
        DelLink(_) | NewRoute(_) | DelRoute(_) | NewAddress(_) | DelAddress(_) => Outdated {
            routes: true,
            neighbours: false,
        },
        // Entries often change between reachable and stale. Only another MAC address matters, and an
        // entry that must no longer be probed.
        NewNeighbour(message) => Outdated {
            routes: false,
            neighbours: neighbour(message).is_some_and(|seen| {
                seen.is_fixed() || published.neighbour(seen.address) != seen.mac
            }),
        },
        DelNeighbour(message) => Outdated {
            routes: false,
            neighbours: neighbour(message)
                .is_some_and(|gone| published.neighbour(gone.address).is_some()),
        },
        _ => Outdated::default(),
    }
}

/// True if this notification reports the removal of `interface`. A bridge sends the same message for a port that
/// leaves it, but in the bridge's address family.
pub(crate) fn removes(notification: &RouteNetlinkMessage, interface: u32) -> bool {
    matches!(
        notification,
        RouteNetlinkMessage::DelLink(link)
            if link.header.index == interface
                && link.header.interface_family == AddressFamily::Unspec
    )
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use rtnetlink::packet_route::link::LinkMessage;
    use rtnetlink::packet_route::neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
    };

    use super::*;

    const INTERFACE: u32 = 7;
    const KNOWN: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn entry(address: Ipv4Addr, mac: [u8; 6], state: NeighbourState) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = INTERFACE;
        message.header.state = state;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)),
            NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        ];
        message
    }

    #[test]
    fn a_neighbour_with_another_mac_is_outdated() {
        use NeighbourState::{Failed, Permanent, Reachable, Stale};
        use RouteNetlinkMessage::{DelNeighbour, NewNeighbour};
        let published = Snapshot::new([], [(IpAddr::V4(KNOWN), MAC)]);
        let other = Ipv4Addr::new(10, 1, 0, 3);
        let expectations = [
            (NewNeighbour(entry(KNOWN, MAC, Reachable)), false),
            (NewNeighbour(entry(KNOWN, MAC, Stale)), false),
            (NewNeighbour(entry(KNOWN, MAC, Permanent)), true),
            (NewNeighbour(entry(KNOWN, MAC, Failed)), true),
            (NewNeighbour(entry(KNOWN, [2; 6], Reachable)), true),
            (NewNeighbour(entry(other, MAC, Reachable)), true),
            (NewNeighbour(entry(other, MAC, Failed)), false),
            // The kernel's garbage collector deletes entries in any state.
            (DelNeighbour(entry(KNOWN, MAC, Stale)), true),
            (DelNeighbour(entry(other, MAC, Stale)), false),
        ];
        for (message, neighbours) in expectations {
            let expected = Outdated {
                routes: false,
                neighbours,
            };
            assert_eq!(
                outdated(&message, INTERFACE, &published),
                expected,
                "{message:?}"
            );
        }
    }

    #[test]
    fn only_a_removal_of_the_interface_itself_counts() {
        let gone = |index, family| {
            let mut link = LinkMessage::default();
            link.header.index = index;
            link.header.interface_family = family;
            RouteNetlinkMessage::DelLink(link)
        };
        assert!(removes(&gone(INTERFACE, AddressFamily::Unspec), INTERFACE));
        assert!(!removes(&gone(INTERFACE, AddressFamily::Bridge), INTERFACE));
        assert!(!removes(
            &gone(INTERFACE + 1, AddressFamily::Unspec),
            INTERFACE
        ));
        let up = RouteNetlinkMessage::NewLink(LinkMessage::default());
        assert!(!removes(&up, 0));
    }
}
