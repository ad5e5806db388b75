//! IPv6 as inner and outer protocol, mixed with IPv4.

use std::net::IpAddr;

use causeway_device::memory;
use causeway_gateway::{Command, Event, Worker, WorkerError};
use causeway_steering::DropReason;

use crate::packet::{MORE, Packet, ethernet, ones_sum_ipv6, word};
use crate::side::{
    FAMILIES, Setup, Side, address, both, carry, config, gateway_mac, header, host, host_mac,
    max_inner, outbound, routes,
};

fn over(outer_v6: bool) -> Setup {
    Setup {
        outer_v6,
        ..Setup::default()
    }
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + 3) as u8).collect()
}

/// A packet from host 2 of VPC 1 to host 3 of VPC 2.
fn packet(v6: bool, length: usize) -> Packet {
    Packet::udp(host(v6, 1, 2), host(v6, 2, 3), &data(length))
}

/// Checks the ICMPv6 error in `frame` as a host does. Returns (type, code, MTU, quote).
fn icmpv6(frame: &[u8], cause: &Packet, from: IpAddr) -> (u8, u8, u32, Vec<u8>) {
    assert_eq!(frame[..6], host_mac(1, 2), "addressed to the sender");
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    let ip = &frame[14..];
    assert_eq!(ip[0], 0x60);
    assert_eq!(usize::from(word(ip, 4)) + 40, ip.len());
    assert_eq!(ip[6], 58);
    let octets = |address: IpAddr| match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => panic!("{address} in an IPv6 packet"),
    };
    assert_eq!(ip[8..24], octets(from));
    assert_eq!(ip[24..40], octets(cause.source));
    assert_eq!(ones_sum_ipv6(ip), 0xffff, "ICMPv6 checksum");
    let mtu = u32::from(word(ip, 44)) << 16 | u32::from(word(ip, 46));
    (ip[40], ip[41], mtu, ip[48..].to_vec())
}

/// Standard: inner-ipv4, inner-ipv6, mixed-families, ttl-once
#[test]
fn each_inner_family_is_carried_over_each_outer_family() {
    for outer_v6 in FAMILIES {
        for inner_v6 in FAMILIES {
            let (mut a, mut b) = both(&over(outer_v6));
            let packet = packet(inner_v6, 1);
            let sealed = a.exchange(&[packet.frame(gateway_mac(1))]);
            assert_eq!(sealed.len(), 1);
            let outer = &sealed[0][14..];
            let ethertype = word(&sealed[0], 12);
            if outer_v6 {
                assert_eq!((ethertype, outer[0] >> 4), (0x86dd, 6));
                assert_eq!(
                    (outer[6], outer[7]),
                    (17, 64),
                    "UDP with the SA's hop limit"
                );
                assert_eq!(usize::from(word(outer, 4)) + 40, outer.len());
            } else {
                assert_eq!((ethertype, outer[0] >> 4), (0x0800, 4));
            }
            let opened = b.exchange(&carry(sealed, 1));
            assert_eq!(opened, [ethernet_from(&packet.forwarded())]);
            let (a, b) = (a.finish(), b.finish());
            let length = packet.ip().len() as u64;
            assert_eq!((a.sealed.packets, a.sealed.bytes), (1, length));
            assert_eq!((b.opened.packets, b.opened.bytes), (1, length));
        }
    }
}

/// A frame from gateway 2 to host 3.
fn ethernet_from(ip: &[u8]) -> Vec<u8> {
    let mut frame = ethernet(host_mac(2, 3), ip);
    frame[6..12].copy_from_slice(&gateway_mac(2));
    frame
}

/// Standard: ttl-exceeded
#[test]
fn hop_limit_1_is_answered_with_time_exceeded() {
    for outer_v6 in FAMILIES {
        for ttl in [0, 1] {
            let mut a = Side::new(1, &over(outer_v6));
            let packet = Packet {
                ttl,
                ..packet(true, 100)
            };
            let out = a.exchange(&[packet.frame(gateway_mac(1))]);
            assert_eq!(out.len(), 1);
            // The source is the tunnel's address, or the NIC's address if the tunnel uses IPv4.
            let answer = icmpv6(&out[0], &packet, address(true, 1));
            assert_eq!(answer, (3, 0, 0, packet.ip()));
            let totals = a.finish();
            assert_eq!(totals.drops[DropReason::TtlExceeded], 1);
            assert_eq!((totals.sent, totals.originated), (0, 1));
        }
    }
}

/// Standard: pmtu-inner, inner-mtu
#[test]
fn a_too_big_ipv6_packet_is_answered_and_not_fragmented() {
    for outer_v6 in FAMILIES {
        let (mut a, mut b) = both(&over(outer_v6));
        let fits = max_inner(outer_v6);
        let big = packet(true, fits + 1 - 48);
        let out = a.exchange(&[
            big.frame(gateway_mac(1)),
            packet(true, fits - 48).frame(gateway_mac(1)),
        ]);
        assert_eq!(out.len(), 2);
        let (kind, code, mtu, quote) = icmpv6(&out[0], &big, address(true, 1));
        assert_eq!((kind, code, mtu as usize), (2, 0, fits));
        assert_eq!(
            quote,
            big.ip()[..1280 - 48],
            "as much as fits into 1280 bytes"
        );
        assert_eq!(out[1].len(), 14 + 1500, "a packet of exactly the MTU fits");
        assert_eq!(b.exchange(&carry(out[1..].to_vec(), 1)).len(), 1);
        let totals = a.finish();
        assert_eq!(totals.drops[DropReason::TooBig], 1);
        assert_eq!((totals.sent, totals.originated), (1, 1));
    }
}

#[test]
fn no_error_is_sent_without_an_address_of_the_senders_family() {
    for v6 in FAMILIES {
        // Gateway and NIC have addresses of the other family only.
        let setup = over(!v6);
        let mut config = config(1, &setup);
        config
            .nic_addresses
            .retain(|address| address.is_ipv6() != v6);
        let mut a = Side::with(config, &setup);
        let packet = Packet {
            ttl: 1,
            ..packet(v6, 100)
        };
        assert_eq!(a.exchange(&[packet.frame(gateway_mac(1))]).len(), 0);
        let totals = a.finish();
        assert_eq!(totals.drops[DropReason::TtlExceeded], 1);
        assert_eq!(totals.originated, 0);
    }
}

#[test]
fn a_tunnel_for_ipv6_must_carry_1280_bytes() {
    for (outer_v6, least) in [(false, 1344), (true, 1364)] {
        let refused = |mtu, v4_only| {
            let setup = over(outer_v6);
            let mut config = config(1, &setup);
            config.mtu = mtu;
            if v4_only {
                config.tunnels[0]
                    .peer_prefixes
                    .retain(|p| p.addr().is_ipv4());
            }
            let (nic, _wire) = memory::pair(16, 2048, 16);
            Worker::new(config, nic).err()
        };
        assert_eq!(refused(least, false), None);
        assert_eq!(
            refused(least - 1, false),
            Some(WorkerError::MtuTooSmall {
                tunnel: 0,
                max_inner: 1278,
                least: 1280
            })
        );
        assert_eq!(refused(least - 1, true), None);
    }
}

/// Standard: selectors
#[test]
fn selectors_apply_to_both_families() {
    let fate = |source: IpAddr, destination: IpAddr| {
        let mut sa = outbound(1, 2, &over(false));
        let mut room = Packet::udp(source, destination, &[]).ip();
        let length = room.len();
        room.resize(length + 64, 0);
        let mut out = vec![0; length + 128];
        let sealed = sa.seal(&mut room, length, &mut out).expect("a packet");
        let mut b = Side::new(2, &over(false));
        let sent = b
            .exchange(&[ethernet(gateway_mac(2), &out[..sealed])])
            .len();
        let totals = b.finish();
        let dropped = totals.drops.iter().find(|&(_, count)| count > 0);
        (sent, dropped.map(|(reason, _)| reason))
    };
    let (host_1, host_2) = (host(true, 1, 2), host(true, 2, 3));
    let stranger = host(true, 7, 2);
    assert_eq!(fate(host_1, host_2), (1, None));
    assert_eq!(
        fate(stranger, host_2),
        (0, Some(DropReason::SelectorSource))
    );
    assert_eq!(fate(host_2, host_2), (0, Some(DropReason::SelectorSource)));
    assert_eq!(
        fate(host_1, stranger),
        (0, Some(DropReason::SelectorDestination))
    );
    assert_eq!(
        fate(host_1, host_1),
        (0, Some(DropReason::SelectorDestination))
    );

    let mut a = Side::new(1, &over(true));
    let from_stranger = Packet::udp(stranger, host_2, &[]);
    let to_stranger = Packet::udp(host_1, stranger, &[]);
    a.exchange(&[from_stranger, to_stranger].map(|p| p.frame(gateway_mac(1))));
    let totals = a.finish();
    assert_eq!(totals.drops[DropReason::SelectorSource], 1);
    assert_eq!(totals.drops[DropReason::NoTunnel], 1);
}

/// RFC 6040 section 4.2: a router on the path marks the outer header. The position of the ECN field depends on the family.
/// Standard: ecn-out, ecn-ce, mixed-families
#[test]
fn an_ecn_mark_is_copied_from_each_family_to_each() {
    for outer_v6 in FAMILIES {
        for inner_v6 in FAMILIES {
            let (mut a, mut b) = both(&over(outer_v6));
            let mut frame = packet(inner_v6, 20).frame(gateway_mac(1));
            // ECT(0), and a DSCP with bits in both bytes of the IPv6 traffic class.
            set_tos(&mut frame[14..], 0xaa);
            let mut sealed = carry(a.exchange(&[frame]), 1);
            assert_eq!(tos(&sealed[0][14..]), 0xaa);
            set_tos(&mut sealed[0][14..], 0xab);
            let opened = b.exchange(&sealed);
            assert_eq!(tos(&opened[0][14..]), 0xab);
            b.finish();
        }
    }
}

fn tos(ip: &[u8]) -> u8 {
    if ip[0] >> 4 == 6 {
        (word(ip, 0) >> 4) as u8
    } else {
        ip[1]
    }
}

/// Does not update the header checksum, since it is not checked.
fn set_tos(ip: &mut [u8], tos: u8) {
    if ip[0] >> 4 == 6 {
        let word = word(ip, 0) & 0xf00f | u16::from(tos) << 4;
        ip[..2].copy_from_slice(&word.to_be_bytes());
    } else {
        ip[1] = tos;
    }
}

/// Standard: esp-fragment, udp-keepalive
#[test]
fn packets_over_ipv6_that_are_not_esp_are_dropped_with_a_reason() {
    let esp = [0, 0, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    let udp =
        |port, data: &[u8]| Packet::udp(address(true, 1), address(true, 2), data).with_port(port);
    let raw = |protocol, payload: &[u8]| Packet {
        protocol,
        payload: payload.to_vec(),
        ..udp(0, &[])
    };
    let fragment = Packet {
        flags: MORE,
        ..raw(50, &esp)
    };
    let fate = |frame: Vec<u8>| {
        let mut b = Side::new(2, &over(true));
        assert_eq!(b.exchange(&[frame]).len(), 0);
        let totals = b.finish();
        let mut drops = totals.drops.iter().filter(|&(_, count)| count > 0);
        let reason = drops.next().map(|(reason, _)| reason);
        assert_eq!(drops.next(), None);
        reason
    };
    for (packet, reason) in [
        (udp(4500, &[0xff]), DropReason::Keepalive),
        (udp(4500, &[0; 32]), DropReason::NoTunnel),
        (udp(53, &esp), DropReason::NoTunnel),
        (udp(4500, &esp), DropReason::EspTruncated),
        (raw(50, &esp), DropReason::EspTruncated),
        (fragment, DropReason::EspFragment),
        (raw(58, &[128, 0, 0, 0]), DropReason::NoTunnel),
    ] {
        let frame = packet.frame(gateway_mac(2));
        assert_eq!(fate(frame), Some(reason), "{packet:?}");
    }
    // EtherType and IP version differ.
    let mut frame = raw(50, &esp).frame(gateway_mac(2));
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    assert_eq!(fate(frame), Some(DropReason::Ipv4Malformed));
    let mut frame = packet(false, 20).frame(gateway_mac(2));
    frame[12..14].copy_from_slice(&[0x86, 0xdd]);
    assert_eq!(fate(frame), Some(DropReason::Ipv6Malformed));
}

fn syn(mss: u16) -> Packet {
    let mut packet = packet(true, 0);
    packet.protocol = 6;
    packet.payload = vec![
        0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff, 0, 0, 0, 0, 2, 4,
    ];
    packet.payload.extend_from_slice(&mss.to_be_bytes());
    let sum = !ones_sum_ipv6(&packet.ip());
    packet.payload[16..18].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Standard: mss-clamp
#[test]
fn the_mss_of_ipv6_is_60_less_than_the_tunnel_carries() {
    for outer_v6 in FAMILIES {
        let (mut a, mut b) = both(&Setup {
            clamp_mss: true,
            ..over(outer_v6)
        });
        let sealed = a.exchange(&[syn(1440), syn(900)].map(|p| p.frame(gateway_mac(1))));
        for (frame, mss) in b
            .exchange(&carry(sealed, 1))
            .iter()
            .zip([max_inner(outer_v6) - 60, 900])
        {
            assert_eq!(ones_sum_ipv6(&frame[14..]), 0xffff, "TCP checksum");
            assert_eq!(usize::from(word(frame, 14 + 40 + 22)), mss);
        }
        assert_eq!(b.finish().sent, 2);
    }
}

#[test]
fn neighbours_are_resolved_separately_for_each_family() {
    let (mut a, mut b) = both(&over(true));
    let to = |v6, number| Packet::udp(host(v6, 1, 2), host(v6, 2, 9), &[number]);
    let sealed =
        a.exchange(&[to(true, 1), to(false, 2), to(true, 3)].map(|p| p.frame(gateway_mac(1))));
    assert_eq!(b.exchange(&carry(sealed, 1)).len(), 0);
    let lookups: Vec<_> = b.control.events.try_iter().collect();
    assert_eq!(
        lookups,
        [true, false].map(|v6| Event::Resolve(host(v6, 2, 9)))
    );
    b.control
        .send(Command::Routes(routes(2, &[1, 2, 3, 9])))
        .expect("a worker");
    let opened = b.work();
    assert!(opened.iter().all(|frame| frame[..6] == host_mac(2, 9)));
    let numbers: Vec<_> = opened.iter().map(|f| f[14 + header(f) + 8]).collect();
    assert_eq!(numbers, [1, 2, 3]);
    b.finish();
}

/// The lookups are for the router of the outer family and for the host of the inner family.
#[test]
fn a_neighbour_in_use_over_ipv6_is_confirmed_periodically() {
    let (mut a, mut b) = both(&over(true));
    a.pass(std::time::Duration::from_millis(100));
    b.pass(std::time::Duration::from_millis(100));
    let sealed = a.exchange(&[packet(true, 1).frame(gateway_mac(1))]);
    b.exchange(&carry(sealed, 1));
    let lookups = |side: &Side| side.control.events.try_iter().collect::<Vec<_>>();
    assert_eq!(lookups(&a), [Event::Resolve(host(true, 1, 1))]);
    assert_eq!(lookups(&b), [Event::Resolve(host(true, 2, 3))]);
}
