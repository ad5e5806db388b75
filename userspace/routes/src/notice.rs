//! What a notification of the kernel puts out of date.

use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::messages;
use crate::snapshot::Snapshot;

/// What has to be listed again.
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

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            routes: self.routes || other.routes,
            neighbours: self.neighbours || other.neighbours,
        }
    }
}

/// What this notification changes about what was `published` for `interface`.
pub(crate) fn outdated(
    notification: &RouteNetlinkMessage,
    interface: u32,
    published: &Snapshot,
) -> Outdated {
    use RouteNetlinkMessage::*;
    let neighbour = |message| messages::neighbour(message, interface);
    match notification {
        // The routes of a NIC that goes down vanish without a word about each.
        NewLink(link) => Outdated {
            routes: true,
            neighbours: link.header.index == interface,
        },
        DelLink(_) | NewRoute(_) | DelRoute(_) | NewAddress(_) | DelAddress(_) => Outdated {
            routes: true,
            neighbours: false,
        },
        // Entries move between reachable and stale all the time; only another answer matters, and
        // one that must not be asked for any more.
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

/// Whether this notification says that `interface` is gone. A bridge announces a port that leaves
/// it by the same message, in its own address family.
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

    const OURS: u32 = 7;
    const KNOWN: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn entry(address: Ipv4Addr, mac: [u8; 6], state: NeighbourState) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = OURS;
        message.header.state = state;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)),
            NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        ];
        message
    }

    #[test]
    fn a_neighbour_matters_when_its_answer_is_another() {
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
            // The kernel's collector deletes entries in whatever state they are.
            (DelNeighbour(entry(KNOWN, MAC, Stale)), true),
            (DelNeighbour(entry(other, MAC, Stale)), false),
        ];
        for (message, neighbours) in expectations {
            let expected = Outdated {
                routes: false,
                neighbours,
            };
            assert_eq!(
                outdated(&message, OURS, &published),
                expected,
                "{message:?}"
            );
        }
    }

    #[test]
    fn only_the_interface_itself_can_be_removed() {
        let gone = |index, family| {
            let mut link = LinkMessage::default();
            link.header.index = index;
            link.header.interface_family = family;
            RouteNetlinkMessage::DelLink(link)
        };
        assert!(removes(&gone(OURS, AddressFamily::Unspec), OURS));
        assert!(!removes(&gone(OURS, AddressFamily::Bridge), OURS));
        assert!(!removes(&gone(OURS + 1, AddressFamily::Unspec), OURS));
        let up = RouteNetlinkMessage::NewLink(LinkMessage::default());
        assert!(!removes(&up, 0));
    }
}
