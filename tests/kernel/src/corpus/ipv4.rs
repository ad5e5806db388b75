//! IPv4 packets.

use causeway_steering::{DropReason, PuntReason};

use super::case::{Case, End, case};
use crate::packet::{HOST_MAC, Ipv4, OWN_MAC, esp, ethernet, icmp, tcp, udp};
use crate::world::{
    ELSEWHERE, FAR, FAR_LOCAL, FAR_UNRESOLVED, FAR_WITHOUT_SOCKET, GATEWAY, GATEWAY_UNDER_PEER,
    HOST, OWN, OWN_UNDER_PEER, SPI, SPI_WITHOUT_SOCKET,
};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ESP: u8 = 50;
const SCTP: u8 = 132;

pub(super) fn cases() -> Vec<Case> {
    let to_far = |protocol| Ipv4::new(HOST, FAR, protocol);
    let to_own = |protocol| Ipv4::new(FAR, OWN, protocol);
    let from_gateway = |protocol| Ipv4::new(GATEWAY, FAR, protocol);
    let fragment = |protocol, fragment| Ipv4 {
        fragment,
        ..to_far(protocol)
    };
    let quoted = Ipv4::new(FAR, HOST, UDP).packet(&udp(53, 5353, &[0; 8]));
    let quoted_echo = Ipv4::new(FAR, HOST, ICMP).packet(&icmp(8, 0, [0, 7, 0, 1], &[]));
    vec![
        case(
            "a frame that a bridge flooded",
            ethernet(HOST_MAC, 0x0800, &to_far(TCP).packet(&tcp(1, 2))),
            End::Punt(PuntReason::OtherMac),
        ),
        case(
            "TCP to a peer",
            to_far(TCP).frame(&tcp(1234, 443)),
            End::AnyGateway,
        ),
        case(
            "UDP to a peer",
            to_far(UDP).frame(&udp(1234, 53, &[0; 20])),
            End::AnyGateway,
        ),
        case(
            "SCTP to a peer",
            to_far(SCTP).frame(&tcp(1234, 38412)),
            End::AnyGateway,
        ),
        case(
            "DCCP to a peer",
            to_far(33).frame(&tcp(1234, 443)),
            End::AnyGateway,
        ),
        case(
            "UDP-Lite to a peer",
            to_far(136).frame(&udp(1234, 443, &[0; 4])),
            End::AnyGateway,
        ),
        case("GRE to a peer", to_far(47).frame(&[0; 24]), End::AnyGateway),
        case(
            "TCP behind 40 octets of options",
            Ipv4 {
                options: vec![1; 40],
                ..to_far(TCP)
            }
            .frame(&tcp(1234, 443)),
            End::AnyGateway,
        ),
        case(
            "the first fragment",
            fragment(UDP, 0x2000).frame(&udp(1, 2, &[0; 16])),
            End::AnyGateway,
        ),
        case(
            "a later fragment",
            fragment(UDP, 0x2003).frame(&[7; 24]),
            End::AnyGateway,
        ),
        case(
            "the last fragment",
            fragment(UDP, 0x0006).frame(&[7; 3]),
            End::AnyGateway,
        ),
        case(
            "TCP cut before its ports",
            to_far(TCP).frame(&[4, 210]),
            End::AnyGateway,
        ),
        case(
            "an echo request",
            to_far(ICMP).frame(&icmp(8, 0, [0, 7, 0, 1], &[0; 32])),
            End::AnyGateway,
        ),
        case(
            "an ICMP error",
            to_far(ICMP).frame(&icmp(3, 4, [0, 0, 5, 0xdc], &quoted)),
            End::AnyGateway,
        ),
        case(
            "an ICMP error about an echo",
            to_far(ICMP).frame(&icmp(11, 0, [0; 4], &quoted_echo)),
            End::AnyGateway,
        ),
        case(
            "an ICMP error cut inside its quote",
            to_far(ICMP).frame(&icmp(11, 0, [0; 4], &quoted[..12])),
            End::AnyGateway,
        ),
        case(
            "TCP under the longer prefix",
            Ipv4::new(HOST, FAR_LOCAL, TCP).frame(&tcp(1234, 443)),
            End::AnyWorker,
        ),
        case(
            "a gateway without a MAC",
            Ipv4::new(HOST, FAR_UNRESOLVED, TCP).frame(&tcp(1, 2)),
            End::Drop(DropReason::GatewayUnresolved),
        ),
        case(
            "a local gateway without a socket",
            Ipv4::new(HOST, FAR_WITHOUT_SOCKET, TCP).frame(&tcp(1, 2)),
            End::Drop(DropReason::NoWorker),
        ),
        case(
            "no peer's prefix",
            Ipv4::new(HOST, ELSEWHERE, TCP).frame(&tcp(1, 2)),
            End::Punt(PuntReason::NoPeering),
        ),
        case(
            "ssh to the host itself",
            to_own(TCP).frame(&tcp(50000, 22)),
            End::Punt(PuntReason::OwnAddress),
        ),
        case(
            "an own address that a peer's prefix covers",
            Ipv4::new(HOST, OWN_UNDER_PEER, TCP).frame(&tcp(50000, 22)),
            End::Punt(PuntReason::OwnAddress),
        ),
        case(
            "UDP to the host itself",
            to_own(UDP).frame(&udp(50000, 53, &[0; 9])),
            End::Punt(PuntReason::OwnAddress),
        ),
        case(
            "a gateway's own ESP to a peer",
            from_gateway(ESP).frame(&esp(SPI)),
            End::Drop(DropReason::OwnEsp),
        ),
        case(
            "a gateway's own ESP in UDP to a peer",
            from_gateway(UDP).frame(&udp(4501, 4500, &esp(SPI))),
            End::Drop(DropReason::OwnEsp),
        ),
        case(
            "a fragment of a gateway's own ESP to a peer",
            Ipv4 {
                fragment: 0x2000,
                ..from_gateway(ESP)
            }
            .frame(&esp(SPI)),
            End::Drop(DropReason::OwnEsp),
        ),
        case(
            "a gateway's own ESP to a peer, truncated",
            from_gateway(ESP).frame(&esp(SPI)[..6]),
            End::Drop(DropReason::OwnEsp),
        ),
        case(
            "ESP from this host's address to a peer",
            Ipv4::new(OWN, FAR, ESP).frame(&esp(SPI)),
            End::Drop(DropReason::OwnEsp),
        ),
        case(
            "IKE of a gateway to a peer",
            from_gateway(UDP).frame(&udp(4500, 4500, &[0; 28])),
            End::AnyGateway,
        ),
        case(
            "TCP of a gateway to a peer",
            from_gateway(TCP).frame(&tcp(1234, 443)),
            End::AnyGateway,
        ),
        case(
            "ESP of another host to a peer",
            to_far(ESP).frame(&esp(SPI)),
            End::AnyGateway,
        ),
        case(
            "to a gateway that a peer's prefix covers",
            Ipv4::new(HOST, GATEWAY_UNDER_PEER, TCP).frame(&tcp(1, 2)),
            End::Punt(PuntReason::NoPeering),
        ),
        case("raw ESP", to_own(ESP).frame(&esp(SPI)), End::Worker(1)),
        case(
            "raw ESP behind options",
            Ipv4 {
                options: vec![1; 8],
                ..to_own(ESP)
            }
            .frame(&esp(SPI)),
            End::Worker(1),
        ),
        case(
            "ESP in UDP",
            to_own(UDP).frame(&udp(4501, 4500, &esp(SPI))),
            End::Worker(1),
        ),
        case(
            "ESP for a worker without a socket",
            to_own(ESP).frame(&esp(SPI_WITHOUT_SOCKET)),
            End::Drop(DropReason::NoWorker),
        ),
        case(
            "raw ESP, SPI unknown",
            to_own(ESP).frame(&esp(0x9999)),
            End::Punt(PuntReason::UnknownSpi),
        ),
        case(
            "ESP in UDP, SPI unknown",
            to_own(UDP).frame(&udp(4500, 4500, &esp(0x9999))),
            End::Punt(PuntReason::UnknownSpi),
        ),
        case(
            "IKE on 4500",
            to_own(UDP).frame(&udp(4500, 4500, &[0; 28])),
            End::Punt(PuntReason::Ike),
        ),
        case(
            "IKE on 500",
            to_own(UDP).frame(&udp(500, 500, &[1; 28])),
            End::Punt(PuntReason::OwnAddress),
        ),
        case(
            "a NAT keepalive",
            to_own(UDP).frame(&udp(4500, 4500, &[0xff])),
            End::Drop(DropReason::Keepalive),
        ),
        case(
            "a fragment of ESP",
            Ipv4 {
                fragment: 0x2000,
                ..to_own(ESP)
            }
            .frame(&esp(SPI)),
            End::Drop(DropReason::EspFragment),
        ),
        case(
            "ESP without a sequence number",
            to_own(ESP).frame(&esp(SPI)[..6]),
            End::Drop(DropReason::EspTruncated),
        ),
        case(
            "ESP in UDP, longer than its packet",
            to_own(UDP).frame(&udp(4500, 4500, &esp(SPI))[..17]),
            End::Drop(DropReason::EspTruncated),
        ),
        case(
            "UDP cut inside its header",
            to_own(UDP).frame(&[0, 1, 2, 3]),
            End::Drop(DropReason::EspTruncated),
        ),
        case(
            "IP version 5",
            Ipv4 {
                version: 5,
                ..to_far(TCP)
            }
            .frame(&tcp(1, 2)),
            End::Drop(DropReason::Ipv4Malformed),
        ),
        case(
            "a total length beyond the frame",
            Ipv4 {
                length_error: 1,
                ..to_far(TCP)
            }
            .frame(&tcp(1, 2)),
            End::Drop(DropReason::Ipv4Malformed),
        ),
        case(
            "a total length within the header",
            Ipv4 {
                length_error: -30,
                ..to_far(TCP)
            }
            .frame(&tcp(1, 2)),
            End::Drop(DropReason::Ipv4Malformed),
        ),
        case(
            "IPv4 cut inside its header",
            ethernet(OWN_MAC, 0x0800, &[0x45, 0, 0, 40, 0, 0]),
            End::Drop(DropReason::Ipv4Malformed),
        ),
        case(
            "Ethernet padding behind the packet",
            [
                Ipv4::new(HOST, FAR, UDP).frame(&udp(1, 2, &[0; 4])),
                vec![0; 14],
            ]
            .concat(),
            End::AnyGateway,
        ),
    ]
}
