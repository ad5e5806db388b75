//! Packets behind VLAN tags. Behind one or two tags the outcome is the same as without tags.

use causeway_steering::{DropReason, PuntReason};

use super::case::{Case, End, case};
use crate::packet::{HOST_MAC, Ipv4, Ipv6, OWN_MAC, esp, ethernet, icmp, tagged, tcp, udp};
use crate::world::{FAR, FAR_LOCAL, HOST, OWN, SPI, ipv6};

const CUSTOMER: u16 = 0x8100;
const PROVIDER: u16 = 0x88a8;
const OLD_PROVIDER: u16 = 0x9100;

pub(super) fn cases() -> Vec<Case> {
    let tcp_v4 = Ipv4::new(HOST, FAR, 6).frame(&tcp(1234, 443));
    let tcp_v6 = Ipv6::new(ipv6::HOST, ipv6::FAR, 6).frame(&tcp(1234, 443));
    let fragment = Ipv4 {
        fragment: 0x2003,
        ..Ipv4::new(HOST, FAR, 17)
    };
    let quoted = Ipv4::new(FAR, HOST, 17).packet(&udp(53, 5353, &[0; 8]));
    let too_big = Ipv4::new(HOST, FAR, 1).frame(&icmp(3, 4, [0, 0, 5, 0xdc], &quoted));
    let esp_v4 = Ipv4::new(FAR, OWN, 50).frame(&esp(SPI));
    let esp_v6 = Ipv6::new(ipv6::FAR, ipv6::OWN, 17).frame(&udp(4501, 4500, &esp(SPI)));
    let long = Ipv4 {
        length_error: 1,
        ..Ipv4::new(HOST, FAR, 6)
    };
    let two = [PROVIDER, CUSTOMER];
    let cut = |frame: &[u8], types: &[u16], length| tagged(frame, types)[..length].to_vec();
    vec![
        case(
            "tag: TCP to a peer",
            tagged(&tcp_v4, &[CUSTOMER]),
            End::AnyGateway,
        ),
        case(
            "tag: 6: TCP to a peer",
            tagged(&tcp_v6, &[CUSTOMER]),
            End::AnyGateway,
        ),
        case(
            "tags: TCP to a peer",
            tagged(&tcp_v4, &two),
            End::AnyGateway,
        ),
        case(
            "tags: 6: TCP to a peer",
            tagged(&tcp_v6, &two),
            End::AnyGateway,
        ),
        case(
            "tags of an older switch",
            tagged(&tcp_v4, &[OLD_PROVIDER, CUSTOMER]),
            End::AnyGateway,
        ),
        case(
            "tag: a later fragment",
            tagged(&fragment.frame(&[7; 24]), &[CUSTOMER]),
            End::AnyGateway,
        ),
        case(
            "tag: an ICMP error",
            tagged(&too_big, &[CUSTOMER]),
            End::AnyGateway,
        ),
        case(
            "tags: a local gateway",
            tagged(&Ipv4::new(HOST, FAR_LOCAL, 6).frame(&tcp(1, 2)), &two),
            End::AnyWorker,
        ),
        case("tag: ESP", tagged(&esp_v4, &[CUSTOMER]), End::Worker(1)),
        case("tags: 6: ESP in UDP", tagged(&esp_v6, &two), End::Worker(1)),
        case(
            "tag: ARP",
            tagged(&ethernet([0xff; 6], 0x0806, &[0; 28]), &[CUSTOMER]),
            End::Punt(PuntReason::Arp),
        ),
        case(
            "tag: a frame that a bridge flooded",
            tagged(&ethernet(HOST_MAC, 0x0800, &[0x45; 40]), &[CUSTOMER]),
            End::Punt(PuntReason::OtherMac),
        ),
        case(
            "three tags",
            tagged(&tcp_v4, &[PROVIDER, CUSTOMER, CUSTOMER]),
            End::Punt(PuntReason::VlanStack),
        ),
        case(
            "cut inside a tag",
            cut(&tcp_v4, &[CUSTOMER], 17),
            End::Drop(DropReason::EthernetTruncated),
        ),
        case(
            "cut inside the second tag",
            cut(&tcp_v4, &two, 20),
            End::Drop(DropReason::EthernetTruncated),
        ),
        case(
            "tag: IPv4 cut inside its header",
            cut(&tcp_v4, &[CUSTOMER], 37),
            End::Drop(DropReason::Ipv4Malformed),
        ),
        case(
            "tag: a total length beyond the frame",
            tagged(&long.frame(&tcp(1, 2)), &[CUSTOMER]),
            End::Drop(DropReason::Ipv4Malformed),
        ),
        case(
            "tag: IPv6 under the type of IPv4",
            tagged(&ethernet(OWN_MAC, 0x0800, &tcp_v6[14..]), &[CUSTOMER]),
            End::Drop(DropReason::Ipv4Malformed),
        ),
    ]
}
