//! IPv6 packets: the same outcomes as for IPv4, extension headers, and link-local traffic.

use causeway_steering::{DropReason, PuntReason};

use super::case::{Case, End, case};
use crate::packet::{
    Ipv6, OWN_MAC, destination_options, esp, ethernet, fragment, hop_by_hop, icmp, routing, tcp,
    udp,
};
use crate::world::ipv6::{
    ELSEWHERE, FAR, FAR_LOCAL, FAR_UNRESOLVED, FAR_WITHOUT_SOCKET, GATEWAY, HOST, OWN,
    OWN_LINK_LOCAL, OWN_UNDER_PEER,
};
use crate::world::{SPI, SPI_WITHOUT_SOCKET};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ESP: u8 = 50;
const AH: u8 = 51;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const MAPPED: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 2, 0, 10];

fn to_far(protocol: u8) -> Ipv6 {
    Ipv6::new(HOST, FAR, protocol)
}

fn to_own(protocol: u8) -> Ipv6 {
    Ipv6::new(FAR, OWN, protocol)
}

pub(super) fn cases() -> Vec<Case> {
    [to_a_peer(), to_the_host(), on_the_link(), malformed()]
        .into_iter()
        .flatten()
        .collect()
}

fn to_a_peer() -> Vec<Case> {
    let steered = |name, frame| case(name, frame, End::AnyGateway);
    let tcp = tcp(1234, 443);
    let quoted = Ipv6::new(FAR, HOST, UDP).packet(&udp(53, 5353, &[0; 8]));
    let quoted_deep = Ipv6::new(FAR, HOST, UDP)
        .behind([hop_by_hop(0), destination_options(1)])
        .packet(&udp(53, 5353, &[0; 8]));
    let quoted_echo = Ipv6::new(FAR, HOST, ICMPV6).packet(&icmp(128, 0, [0, 7, 0, 1], &[]));
    let too_big = |quote: &[u8]| to_far(ICMPV6).frame(&icmp(2, 0, [0, 0, 5, 0xdc], quote));
    let every = [
        hop_by_hop(0),
        destination_options(1),
        routing(0),
        fragment(0),
    ];
    let five = vec![destination_options(0); 5];
    vec![
        steered("6: TCP to a peer", to_far(TCP).frame(&tcp)),
        steered(
            "6: UDP to a peer",
            to_far(UDP).frame(&udp(1234, 53, &[0; 20])),
        ),
        steered("6: SCTP to a peer", to_far(SCTP).frame(&tcp)),
        steered("6: GRE to a peer", to_far(47).frame(&[0; 24])),
        steered(
            "6: AH to a peer",
            to_far(AH).frame(&[6, 4, 0, 0, 0, 0, 0, 9]),
        ),
        steered("6: no next header", to_far(59).frame(&[])),
        steered("6: TCP cut before its ports", to_far(TCP).frame(&[4, 210])),
        steered(
            "6: TCP behind every extension header",
            to_far(TCP).behind(every).frame(&tcp),
        ),
        steered(
            "6: TCP behind the longest options",
            to_far(TCP).behind([hop_by_hop(255)]).frame(&tcp),
        ),
        steered(
            "6: TCP behind five extension headers",
            to_far(TCP).behind(five).frame(&tcp),
        ),
        steered(
            "6: a routing header with segments left",
            to_far(TCP).behind([routing(1)]).frame(&tcp),
        ),
        steered(
            "6: an atomic fragment",
            to_far(TCP).behind([fragment(0)]).frame(&tcp),
        ),
        steered(
            "6: the first fragment",
            to_far(UDP)
                .behind([fragment(1)])
                .frame(&udp(1, 2, &[0; 16])),
        ),
        steered(
            "6: a later fragment",
            to_far(UDP).behind([fragment(0x19)]).frame(&[7; 24]),
        ),
        steered(
            "6: the last fragment",
            to_far(UDP)
                .behind([hop_by_hop(0), fragment(0x30)])
                .frame(&[7; 3]),
        ),
        steered(
            "6: an echo request",
            to_far(ICMPV6).frame(&icmp(128, 0, [0, 7, 0, 1], &[0; 32])),
        ),
        steered("6: an ICMPv6 error", too_big(&quoted)),
        steered("6: an ICMPv6 error behind options", {
            to_far(ICMPV6)
                .behind([destination_options(2)])
                .frame(&icmp(1, 4, [0; 4], &quoted))
        }),
        steered(
            "6: an ICMPv6 error about a packet with extension headers",
            too_big(&quoted_deep),
        ),
        steered("6: an ICMPv6 error about an echo", too_big(&quoted_echo)),
        steered(
            "6: an ICMPv6 error cut inside its quote",
            too_big(&quoted[..36]),
        ),
        steered(
            "6: an ICMPv6 error cut inside its quote's options",
            too_big(&quoted_deep[..44]),
        ),
        case(
            "6: TCP under the longer prefix",
            Ipv6::new(HOST, FAR_LOCAL, TCP).frame(&tcp),
            End::AnyWorker,
        ),
        case(
            "6: a gateway without a MAC",
            Ipv6::new(HOST, FAR_UNRESOLVED, TCP).frame(&tcp),
            End::Drop(DropReason::GatewayUnresolved),
        ),
        case(
            "6: a local gateway without a socket",
            Ipv6::new(HOST, FAR_WITHOUT_SOCKET, TCP).frame(&tcp),
            End::Drop(DropReason::NoWorker),
        ),
        case(
            "6: no peer's prefix",
            Ipv6::new(HOST, ELSEWHERE, TCP).frame(&tcp),
            End::Punt(PuntReason::NoPeering),
        ),
    ]
}

fn to_the_host() -> Vec<Case> {
    let kernel = |name, frame| case(name, frame, End::Punt(PuntReason::OwnAddress));
    let worker = |name, frame| case(name, frame, End::Worker(1));
    let dropped = |name, frame, reason| case(name, frame, End::Drop(reason));
    let nat_t = |payload: &[u8]| udp(4500, 4500, payload);
    vec![
        kernel(
            "6: ssh to the host itself",
            to_own(TCP).frame(&tcp(50000, 22)),
        ),
        kernel(
            "6: an own address that a peer's prefix covers",
            Ipv6::new(HOST, OWN_UNDER_PEER, TCP).frame(&tcp(50000, 22)),
        ),
        kernel(
            "6: too big, to the host itself",
            to_own(ICMPV6).frame(&icmp(2, 0, [0, 0, 5, 0], &to_far(ESP).packet(&esp(SPI)))),
        ),
        kernel(
            "6: a fragment of UDP",
            to_own(UDP).behind([fragment(1)]).frame(&nat_t(&esp(SPI))),
        ),
        kernel(
            "6: ESP with segments left in a routing header",
            to_own(ESP).behind([routing(1)]).frame(&esp(SPI)),
        ),
        case(
            "6: a gateway's own ESP to a peer",
            Ipv6::new(GATEWAY, FAR, ESP).frame(&esp(SPI)),
            End::Drop(DropReason::OwnEsp),
        ),
        case(
            "6: a gateway's own ESP in UDP to a peer",
            Ipv6::new(GATEWAY, FAR, UDP).frame(&nat_t(&esp(SPI))),
            End::Drop(DropReason::OwnEsp),
        ),
        worker("6: raw ESP", to_own(ESP).frame(&esp(SPI))),
        worker(
            "6: raw ESP behind extension headers",
            to_own(ESP)
                .behind([hop_by_hop(1), routing(0), destination_options(0)])
                .frame(&esp(SPI)),
        ),
        worker(
            "6: ESP in UDP",
            to_own(UDP).frame(&udp(4501, 4500, &esp(SPI))),
        ),
        worker(
            "6: ESP in an atomic fragment",
            to_own(ESP).behind([fragment(0)]).frame(&esp(SPI)),
        ),
        dropped(
            "6: ESP for a worker without a socket",
            to_own(ESP).frame(&esp(SPI_WITHOUT_SOCKET)),
            DropReason::NoWorker,
        ),
        case(
            "6: ESP, SPI unknown",
            to_own(ESP).frame(&esp(0x9999)),
            End::Punt(PuntReason::UnknownSpi),
        ),
        case(
            "6: IKE on 4500",
            to_own(UDP).frame(&nat_t(&[0; 28])),
            End::Punt(PuntReason::Ike),
        ),
        dropped(
            "6: a NAT keepalive",
            to_own(UDP).frame(&nat_t(&[0xff])),
            DropReason::Keepalive,
        ),
        dropped(
            "6: the first fragment of ESP",
            to_own(ESP).behind([fragment(1)]).frame(&esp(SPI)),
            DropReason::EspFragment,
        ),
        dropped(
            "6: a later fragment of ESP",
            to_own(ESP).behind([fragment(0x18)]).frame(&[9; 16]),
            DropReason::EspFragment,
        ),
        dropped(
            "6: ESP without a sequence number",
            to_own(ESP).frame(&esp(SPI)[..6]),
            DropReason::EspTruncated,
        ),
        dropped(
            "6: ESP in UDP, longer than its packet",
            to_own(UDP).frame(&nat_t(&esp(SPI))[..17]),
            DropReason::EspTruncated,
        ),
    ]
}

fn on_the_link() -> Vec<Case> {
    let link = |name, packet: Ipv6| {
        case(
            name,
            packet.frame(&tcp(1, 2)),
            End::Punt(PuntReason::LinkScope),
        )
    };
    // Neighbour and listener messages with other addresses are no exception: a host can send them to a peer's host.
    let discovery = |name, packet: Ipv6, kind, end| {
        let frame = packet.frame(&icmp(kind, 0, [0; 4], &[0; 16]));
        case(name, frame, end)
    };
    let own = End::Punt(PuntReason::OwnAddress);
    vec![
        link("6: to a group", Ipv6::new(HOST, ALL_NODES, TCP)),
        link(
            "6: to the own link-local address",
            Ipv6::new(HOST, OWN_LINK_LOCAL, TCP),
        ),
        link(
            "6: from a link-local address",
            Ipv6::new(OWN_LINK_LOCAL, FAR, TCP),
        ),
        discovery(
            "6: a neighbour solicitation",
            Ipv6::new(HOST, OWN, ICMPV6),
            135,
            own,
        ),
        discovery(
            "6: a neighbour advertisement for a peer",
            to_far(ICMPV6),
            136,
            End::AnyGateway,
        ),
        discovery(
            "6: a router solicitation",
            Ipv6::new(HOST, OWN, ICMPV6),
            133,
            own,
        ),
        discovery("6: a redirect", Ipv6::new(HOST, OWN, ICMPV6), 137, own),
        discovery(
            "6: a redirect for a peer",
            to_far(ICMPV6),
            137,
            End::AnyGateway,
        ),
        discovery(
            "6: a listener report behind an option",
            to_far(ICMPV6).behind([hop_by_hop(0)]),
            143,
            End::AnyGateway,
        ),
    ]
}

fn malformed() -> Vec<Case> {
    let bad = |name, frame| case(name, frame, End::Drop(DropReason::Ipv6Malformed));
    let wrong = |version, length_error| Ipv6 {
        version,
        length_error,
        ..to_far(TCP)
    };
    let tcp = tcp(1, 2);
    vec![
        bad("6: IP version 4", wrong(4, 0).frame(&tcp)),
        bad(
            "6: a payload length beyond the frame",
            wrong(6, 1).frame(&tcp),
        ),
        bad(
            "6: a payload length within an extension header",
            Ipv6 {
                length_error: -22,
                ..to_far(TCP).behind([hop_by_hop(0)])
            }
            .frame(&tcp),
        ),
        bad(
            "6: cut inside its header",
            ethernet(OWN_MAC, 0x86dd, &[0x60; 38]),
        ),
        bad("6: an extension header beyond the packet", {
            to_far(TCP).behind([(60, vec![9; 7])]).frame(&tcp)
        }),
        bad("6: a missing extension header", to_far(43).frame(&[])),
        bad("6: half a fragment header", to_far(44).frame(&[6, 0, 0, 1])),
        bad(
            "6: from a mapped address",
            Ipv6::new(MAPPED, FAR, TCP).frame(&tcp),
        ),
        bad(
            "6: to a mapped address",
            Ipv6::new(HOST, MAPPED, TCP).frame(&tcp),
        ),
        case(
            "6: a payload length of 0",
            wrong(6, -20).frame(&tcp),
            End::AnyGateway,
        ),
        case(
            "IPv4 under the type of IPv6",
            ethernet(OWN_MAC, 0x86dd, &[0x45; 60]),
            End::Drop(DropReason::Ipv6Malformed),
        ),
        case(
            "IPv6 under the type of IPv4",
            ethernet(OWN_MAC, 0x0800, &to_far(TCP).packet(&tcp)),
            End::Drop(DropReason::Ipv4Malformed),
        ),
    ]
}
