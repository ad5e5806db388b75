//! Outbound packets: TTL, MTU, fragmentation, MSS clamp, and ICMP errors.

use causeway_steering::DropReason;

use crate::packet::{DONT_FRAGMENT, MORE, Packet, ones_sum, reassemble, word};
use crate::side::{MAX_INNER, Setup, Side, both, carry, gateway_mac, host_mac};

const HOST_1: [u8; 4] = [10, 1, 0, 2];
const HOST_2: [u8; 4] = [10, 2, 0, 3];

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + 3) as u8).collect()
}

/// Checks the ICMP error in `frame` as a host does. Returns (type, code, MTU, quote).
fn icmp(frame: &[u8], cause: &Packet) -> (u8, u8, u16, Vec<u8>) {
    assert_eq!(frame[..6], host_mac(1, 2), "addressed to the sender");
    assert_eq!(frame[6..12], gateway_mac(1));
    let ip = &frame[14..];
    assert_eq!(ip[0], 0x45);
    assert_eq!(ones_sum(&ip[..20]), 0xffff, "IPv4 checksum");
    assert_eq!(usize::from(word(ip, 2)), ip.len());
    assert_eq!(ip[9], 1);
    assert_eq!(ip[12..16], [10, 1, 0, 101], "from the gateway's address");
    assert_eq!(ip[16..20], cause.ip()[12..16]);
    assert_eq!(ones_sum(&ip[20..]), 0xffff, "ICMP checksum");
    (ip[20], ip[21], word(ip, 26), ip[28..].to_vec())
}

/// Standard: ttl-once
#[test]
fn a_packet_crosses_the_tunnel_with_its_ttl_decremented_once() {
    let (mut a, mut b) = both(&Setup::default());
    let packet = Packet::udp(HOST_1, HOST_2, &data(1));
    let sealed = a.exchange(&[packet.frame(gateway_mac(1))]);
    assert_eq!(sealed.len(), 1);
    assert_eq!(ones_sum(&sealed[0][14..34]), 0xffff);
    assert_eq!(sealed[0][14 + 8], 64, "the outer TTL comes from the SA");
    let opened = b.exchange(&carry(sealed, 1));
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0][..6], host_mac(2, 3));
    assert_eq!(opened[0][6..12], gateway_mac(2));
    assert_eq!(
        opened[0][14..],
        packet.forwarded(),
        "without Ethernet padding"
    );
    let (a, b) = (a.finish(), b.finish());
    assert_eq!((a.sealed.packets, a.sealed.bytes), (1, 29));
    assert_eq!((b.opened.packets, b.opened.bytes), (1, 29));
    assert_eq!((a.sent, a.originated, b.sent, b.originated), (1, 0, 1, 0));
}

/// Standard: ttl-exceeded
#[test]
fn ttl_1_is_answered_with_time_exceeded() {
    for ttl in [0, 1] {
        let mut a = Side::new(1, &Setup::default());
        let packet = Packet {
            ttl,
            ..Packet::udp(HOST_1, HOST_2, &data(100))
        };
        let out = a.exchange(&[packet.frame(gateway_mac(1))]);
        assert_eq!(out.len(), 1);
        let (kind, code, mtu, quote) = icmp(&out[0], &packet);
        assert_eq!((kind, code, mtu), (11, 0, 0));
        assert_eq!(quote, packet.ip(), "quoted unchanged");
        let totals = a.finish();
        assert_eq!(totals.drops[DropReason::TtlExceeded], 1);
        assert_eq!((totals.sent, totals.originated), (0, 1));
    }
}

/// Standard: pmtu-inner
#[test]
fn too_big_with_df_is_answered_with_the_mtu() {
    let mut a = Side::new(1, &Setup::default());
    let packet = |length: usize| Packet {
        flags: DONT_FRAGMENT,
        ..Packet::udp(HOST_1, HOST_2, &data(length - 28))
    };
    let big = packet(MAX_INNER + 1);
    let out = a.exchange(&[
        big.frame(gateway_mac(1)),
        packet(MAX_INNER).frame(gateway_mac(1)),
    ]);
    assert_eq!(out.len(), 2);
    let (kind, code, mtu, quote) = icmp(&out[0], &big);
    assert_eq!((kind, code, usize::from(mtu)), (3, 4, MAX_INNER));
    assert_eq!(quote, big.ip()[..548], "as much as fits into 576 bytes");
    assert!(
        out[1].len() <= 14 + 1500,
        "a packet of exactly the MTU fits"
    );
    let totals = a.finish();
    assert_eq!(totals.drops[DropReason::TooBig], 1);
    assert_eq!((totals.sent, totals.originated), (1, 1));
}

#[test]
fn no_icmp_error_is_sent_about_an_icmp_error() {
    let mut a = Side::new(1, &Setup::default());
    let mut packet = Packet {
        ttl: 1,
        ..Packet::udp(HOST_1, HOST_2, &data(20))
    };
    packet.protocol = 1;
    packet.payload[0] = 11;
    assert_eq!(a.exchange(&[packet.frame(gateway_mac(1))]).len(), 0);
    assert_eq!(a.finish().drops[DropReason::TtlExceeded], 1);
}

#[test]
fn errors_are_rate_limited() {
    let mut a = Side::new(1, &Setup::default());
    let packet = Packet {
        ttl: 1,
        ..Packet::udp(HOST_1, HOST_2, &data(20))
    };
    let frames = vec![packet.frame(gateway_mac(1)); 400];
    let out = a.exchange(&frames);
    assert_eq!(out.len(), 50, "one burst while the clock does not advance");
    a.pass(std::time::Duration::from_millis(10));
    assert_eq!(a.exchange(&frames[..20]).len(), 10, "a thousand per second");
    assert_eq!(a.finish().drops[DropReason::TtlExceeded], 420);
}

#[test]
fn a_too_big_packet_without_df_is_fragmented_and_can_be_reassembled() {
    for length in [MAX_INNER + 1, MAX_INNER + 7, 1500, 1900] {
        let (mut a, mut b) = both(&Setup::default());
        let packet = Packet::udp(HOST_1, HOST_2, &data(length - 28));
        let sealed = a.exchange(&[packet.frame(gateway_mac(1))]);
        assert_eq!(sealed.len(), 2);
        assert!(sealed.iter().all(|frame| frame.len() <= 14 + 1500));
        let opened = b.exchange(&carry(sealed, 1));
        let fragments: Vec<_> = opened.iter().map(|frame| frame[14..].to_vec()).collect();
        assert!(fragments.iter().all(|f| f[8] == 63 && f.len() <= MAX_INNER));
        assert_eq!(reassemble(&fragments), packet.payload);
        let a = a.finish();
        assert_eq!((a.received, a.sent, a.originated), (1, 1, 1));
        assert_eq!((a.sealed.packets, a.sealed.bytes), (1, length as u64));
        assert_eq!(b.finish().sent, 2);
    }
}

#[test]
fn a_fragment_is_fragmented_further() {
    let (mut a, mut b) = both(&Setup::default());
    let first = Packet {
        flags: MORE,
        ..Packet::udp(HOST_1, HOST_2, &data(1472))
    };
    let mut last = Packet {
        flags: 185,
        ..first.clone()
    };
    last.payload = data(1460);
    let sealed = a.exchange(&[first.frame(gateway_mac(1)), last.frame(gateway_mac(1))]);
    let opened = b.exchange(&carry(sealed, 1));
    assert_eq!(opened.len(), 4);
    let fragments: Vec<_> = opened.iter().map(|frame| frame[14..].to_vec()).collect();
    assert_eq!(
        reassemble(&fragments),
        [first.payload, last.payload].concat()
    );
}

#[test]
fn a_too_big_packet_with_options_is_dropped() {
    let mut a = Side::new(1, &Setup::default());
    let packet = Packet {
        options: vec![1; 8],
        ..Packet::udp(HOST_1, HOST_2, &data(1450))
    };
    assert_eq!(a.exchange(&[packet.frame(gateway_mac(1))]).len(), 0);
    assert_eq!(a.finish().drops[DropReason::TooBigOptions], 1);
}

#[test]
fn fragments_are_sent_all_or_none() {
    // The reserved sequence numbers suffice for one fragment only.
    let reserved = 2;
    let mut a = Side::new(
        1,
        &Setup {
            reserved,
            ..Setup::default()
        },
    );
    let packet = Packet::udp(HOST_1, HOST_2, &data(1472));
    assert_eq!(a.exchange(&[packet.frame(gateway_mac(1))]).len(), 0);
    let totals = a.finish();
    assert_eq!(totals.drops[DropReason::SequenceNotReserved], 1);
    assert_eq!((totals.sent, totals.originated), (0, 0));
}

fn syn(mss: u16) -> Packet {
    let mut packet = Packet::udp(HOST_1, HOST_2, &[]);
    packet.protocol = 6;
    packet.payload = vec![
        0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x70, 0x02, 0xff, 0xff, 0, 0, 0, 0,
    ];
    // A no-op in front of the MSS option puts it at an odd offset.
    packet.payload.extend_from_slice(&[1, 2, 4]);
    packet.payload.extend_from_slice(&mss.to_be_bytes());
    packet.payload.extend_from_slice(&[1, 1, 0]);
    let sum = !tcp_sum(&packet.ip());
    packet.payload[16..18].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn tcp_sum(ip: &[u8]) -> u16 {
    let mut bytes = ip[12..20].to_vec();
    bytes.extend_from_slice(&[0, 6]);
    bytes.extend_from_slice(&((ip.len() - 20) as u16).to_be_bytes());
    bytes.extend_from_slice(&ip[20..]);
    ones_sum(&bytes)
}

/// Standard: mss-clamp
#[test]
fn the_mss_is_clamped_by_either_gateway() {
    for (clamp_a, clamp_b) in [(true, false), (false, true)] {
        let mut a = Side::new(
            1,
            &Setup {
                clamp_mss: clamp_a,
                ..Setup::default()
            },
        );
        let mut b = Side::new(
            2,
            &Setup {
                clamp_mss: clamp_b,
                ..Setup::default()
            },
        );
        let sealed = a.exchange(&[
            syn(1460).frame(gateway_mac(1)),
            syn(900).frame(gateway_mac(1)),
        ]);
        let opened = b.exchange(&carry(sealed, 1));
        let mss: Vec<u16> = opened
            .iter()
            .map(|frame| {
                assert_eq!(tcp_sum(&frame[14..]), 0xffff, "TCP checksum");
                word(&frame[14..], 20 + 23)
            })
            .collect();
        assert_eq!(mss, [MAX_INNER as u16 - 40, 900]);
    }
}

#[test]
fn without_the_clamp_the_mss_is_unchanged() {
    let (mut a, mut b) = both(&Setup::default());
    let sealed = a.exchange(&[syn(1460).frame(gateway_mac(1))]);
    let opened = b.exchange(&carry(sealed, 1));
    assert_eq!(opened[0][14..], syn(1460).forwarded());
}
