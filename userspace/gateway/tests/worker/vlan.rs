//! VLAN tags (IEEE 802.1Q): received frames may have tags, sent frames have none.

use causeway_steering::DropReason;

use crate::packet::Packet;
use crate::side::{FAMILIES, Setup, Side, both, carry, gateway_mac, host, host_mac};

/// No tag, a customer tag, and a provider tag around a customer tag.
const TAGS: [&[u8]; 3] = [
    &[],
    &[0x81, 0, 0x60, 1],
    &[0x88, 0xa8, 0, 2, 0x81, 0, 0x60, 1],
];

fn tagged(frame: &[u8], tags: &[u8]) -> Vec<u8> {
    [&frame[..12], tags, &frame[12..]].concat()
}

/// The SAs start anew for each case, so the sealed packets are equal byte by byte.
#[test]
fn tags_do_not_change_sealed_and_opened_packets() {
    for (outer_v6, inner_v6) in FAMILIES.map(|outer| (outer, !outer)) {
        let setup = Setup {
            outer_v6,
            ..Setup::default()
        };
        let packet = Packet::udp(host(inner_v6, 1, 2), host(inner_v6, 2, 3), b"behind tags");
        let [plain, one, two] = TAGS.map(|tags| {
            let (mut a, mut b) = both(&setup);
            let sealed = a.exchange(&[tagged(&packet.frame(gateway_mac(1)), tags)]);
            let carried = carry(sealed.clone(), 1)
                .iter()
                .map(|frame| tagged(frame, tags))
                .collect::<Vec<_>>();
            let opened = b.exchange(&carried);
            assert_eq!(
                (a.finish().sealed.packets, b.finish().opened.packets),
                (1, 1)
            );
            (sealed, opened)
        });
        assert_eq!(plain.1[0][..6], host_mac(2, 3));
        assert_eq!(plain.1[0][14..], packet.forwarded());
        assert_eq!(one, plain);
        assert_eq!(two, plain);
    }
}

/// The ECN field is read from the outer header behind the tags. A CE mark drops a packet that is not ECN-capable.
#[test]
fn the_outer_ecn_field_is_read_behind_tags() {
    for tags in TAGS {
        let (mut a, mut b) = both(&Setup::default());
        let packet = Packet::udp(host(false, 1, 2), host(false, 2, 3), b"marked");
        let mut carried = carry(a.exchange(&[packet.frame(gateway_mac(1))]), 1);
        carried[0][15] |= 3;
        assert!(b.exchange(&[tagged(&carried[0], tags)]).is_empty());
        assert_eq!(b.finish().drops[DropReason::EcnInvalid], 1);
    }
}

#[test]
fn frames_with_truncated_tags_or_three_tags_are_dropped_with_a_reason() {
    let packet = Packet::udp(host(false, 1, 2), host(false, 2, 3), b"");
    let frame = packet.frame(gateway_mac(1));
    let three = [TAGS[2], TAGS[1]].concat();
    for (frame, reason) in [
        (
            tagged(&frame, TAGS[1])[..16].to_vec(),
            DropReason::EthernetTruncated,
        ),
        (
            tagged(&frame, TAGS[2])[..20].to_vec(),
            DropReason::EthernetTruncated,
        ),
        (tagged(&frame, &three), DropReason::NoTunnel),
    ] {
        let mut a = Side::new(1, &Setup::default());
        assert!(a.exchange(&[frame]).is_empty());
        assert_eq!(a.finish().drops[reason], 1);
    }
}
