//! Inbound packets, from the peer and from attackers.

use causeway_esp::OutboundSa;
use causeway_steering::DropReason;

use crate::packet::{MORE, Packet, ethernet};
use crate::side::{Setup, Side, config, gateway_mac, host_mac, outbound, tunnel};

const HOST_1: [u8; 4] = [10, 1, 0, 2];
const HOST_2: [u8; 4] = [10, 2, 0, 3];

/// A frame for gateway 2 with this IP packet.
fn frame(ip: &[u8]) -> Vec<u8> {
    let mut frame = ethernet(gateway_mac(2), ip);
    let length = frame.len().max(60);
    // The padding looks like ESP in UDP, to check that it is ignored.
    let fake = [0x11, 0x95, 0x11, 0x94, 0, 40, 0, 0, 0, 0, 0x10, 0];
    let padding = fake.into_iter().chain(std::iter::repeat(0));
    let missing = length - frame.len();
    frame.extend(padding.take(missing));
    frame
}

/// Seals an inner packet into a frame for gateway 2.
fn seal(sa: &mut OutboundSa, inner: &[u8]) -> Vec<u8> {
    let mut room = inner.to_vec();
    room.resize(inner.len() + 64, 0);
    let mut out = vec![0; inner.len() + 128];
    let length = sa.seal(&mut room, inner.len(), &mut out).expect("a packet");
    out.truncate(length);
    frame(&out)
}

/// Gives these frames to gateway 2. Returns the number of frames sent, and the drops by reason.
fn fate(frames: &[Vec<u8>]) -> (usize, Vec<(DropReason, u64)>) {
    let mut b = Side::new(2, &Setup::default());
    let sent = b.exchange(frames).len();
    let totals = b.finish();
    (
        sent,
        totals
            .drops
            .iter()
            .filter(|&(_, count)| count > 0)
            .collect(),
    )
}

/// Standard: selectors
#[test]
fn inner_addresses_must_match_the_prefixes_of_the_tunnel() {
    let mut sa = outbound(1, 2, &Setup::default());
    let mut inner =
        |source, destination| fate(&[seal(&mut sa, &Packet::udp(source, destination, &[]).ip())]);
    assert_eq!(inner(HOST_1, HOST_2), (1, vec![]));
    assert_eq!(
        inner([10, 7, 0, 2], HOST_2),
        (0, vec![(DropReason::SelectorSource, 1)])
    );
    assert_eq!(
        inner(HOST_2, HOST_2),
        (0, vec![(DropReason::SelectorSource, 1)])
    );
    assert_eq!(
        inner(HOST_1, [10, 7, 0, 3]),
        (0, vec![(DropReason::SelectorDestination, 1)])
    );
    assert_eq!(
        inner(HOST_1, HOST_1),
        (0, vec![(DropReason::SelectorDestination, 1)])
    );
}

#[test]
fn a_longer_prefix_of_another_peer_takes_precedence() {
    let setup = Setup::default();
    let mut config = config(2, &setup);
    config.tunnels.push(tunnel(
        2,
        3,
        vec!["10.1.5.0/24".parse().expect("a prefix")],
        &setup,
    ));
    let mut b = Side::with(config, &setup);
    let (mut sa_1, mut sa_3) = (outbound(1, 2, &setup), outbound(3, 2, &setup));
    let from = |source| Packet::udp(source, HOST_2, &[]).ip();
    let (ours, theirs) = (from(HOST_1), from([10, 1, 5, 2]));
    assert_eq!(
        b.exchange(&[seal(&mut sa_1, &ours), seal(&mut sa_3, &theirs)])
            .len(),
        2
    );
    assert_eq!(
        b.exchange(&[seal(&mut sa_1, &theirs), seal(&mut sa_3, &ours)])
            .len(),
        0
    );

    // Outbound packets follow the longest prefix, too.
    let answer = |to| Packet::udp(HOST_2, to, &[]).frame(gateway_mac(2));
    let out = b.exchange(&[answer(HOST_1), answer([10, 1, 5, 2])]);
    let peers: Vec<_> = out.iter().map(|frame| frame[14 + 17]).collect();
    assert_eq!(peers, [1]);
    let totals = b.finish();
    assert_eq!(totals.drops[DropReason::SelectorSource], 2);
    assert_eq!(
        totals.drops[DropReason::Unreachable],
        1,
        "no route to 10.3.0.101"
    );
}

/// Standard: esp-fragment, udp-keepalive
#[test]
fn packets_that_are_not_esp_are_dropped_with_a_reason() {
    let udp =
        |port, data: &[u8]| Packet::udp([10, 1, 0, 101], [10, 2, 0, 101], data).with_port(port);
    let raw = |protocol, payload: &[u8]| Packet {
        protocol,
        payload: payload.to_vec(),
        ..udp(0, &[])
    };
    let esp = [0, 0, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
    for (packet, reason) in [
        (udp(4500, &[0xff]), DropReason::Keepalive),
        (udp(4500, &[0; 32]), DropReason::NoTunnel),
        (udp(53, &esp), DropReason::NoTunnel),
        (udp(4500, &esp), DropReason::EspTruncated),
        (raw(50, &esp), DropReason::EspTruncated),
        (
            Packet {
                flags: MORE,
                ..raw(50, &esp)
            },
            DropReason::EspFragment,
        ),
        (
            Packet {
                flags: 4,
                ..udp(4500, &esp)
            },
            DropReason::NoTunnel,
        ),
        (raw(50, &esp[..7]), DropReason::EspTruncated),
        (raw(17, &[]), DropReason::EspTruncated),
        (raw(1, &[8, 0, 0, 0]), DropReason::NoTunnel),
        (
            Packet {
                destination: [10, 9, 0, 1].into(),
                ..raw(50, &esp)
            },
            DropReason::NoTunnel,
        ),
    ] {
        assert_eq!(
            fate(&[frame(&packet.ip())]),
            (0, vec![(reason, 1)]),
            "{packet:?}"
        );
    }
    let mut arp = frame(&[0; 28]);
    arp[13] = 6;
    assert_eq!(fate(&[arp]), (0, vec![(DropReason::NoTunnel, 1)]));
    assert_eq!(
        fate(&[vec![2; 13]]),
        (0, vec![(DropReason::EthernetTruncated, 1)])
    );
    let mut version_6 = frame(&raw(50, &esp).ip());
    version_6[14] = 0x65;
    assert_eq!(
        fate(&[version_6]),
        (0, vec![(DropReason::Ipv4Malformed, 1)])
    );
}

/// A UDP datagram may be shorter than the IPv4 payload. ESP ends with the datagram.
#[test]
fn bytes_behind_the_udp_datagram_are_ignored() {
    let mut sa = outbound(1, 2, &Setup::default());
    let sealed = seal(&mut sa, &Packet::udp(HOST_1, HOST_2, &[7; 40]).ip());
    let mut ip = sealed[14..].to_vec();
    ip.extend_from_slice(&[0xee; 6]);
    let total = ip.len() as u16;
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    assert_eq!(fate(&[frame(&ip)]), (1, vec![]));
}

/// RFC 3948 section 2.1: the UDP checksum of a received packet is ignored.
/// Standard: udp-checksum-ignored
#[test]
fn the_udp_checksum_is_ignored() {
    for sum in [0u16, 0xffff, 0x1234] {
        let mut sa = outbound(1, 2, &Setup::default());
        let mut sealed = seal(&mut sa, &Packet::udp(HOST_1, HOST_2, &[]).ip());
        sealed[40..42].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(fate(&[sealed]), (1, vec![]));
    }
}

/// Standard: dummy-dropped, ecn-ce, ecn-not-ect
#[test]
fn a_dummy_is_dropped_and_ecn_is_combined() {
    let mut sa = outbound(1, 2, &Setup::default());
    let mut out = vec![0; 200];
    let length = sa.seal_dummy(&mut [0; 64], 40, &mut out).expect("a dummy");
    assert_eq!(
        fate(&[frame(&out[..length])]),
        (0, vec![(DropReason::Dummy, 1)])
    );

    // RFC 6040 section 4.2: congestion experienced on the path.
    let marked = |sa: &mut OutboundSa, ecn: u8| {
        let mut inner = Packet::udp(HOST_1, HOST_2, &[]).ip();
        inner[1] = ecn;
        let mut frame = seal(sa, &inner);
        frame[15] |= 3;
        frame
    };
    assert_eq!(
        fate(&[marked(&mut sa, 0)]),
        (0, vec![(DropReason::EcnInvalid, 1)])
    );
    let mut b = Side::new(2, &Setup::default());
    let out = b.exchange(&[marked(&mut sa, 2)]);
    assert_eq!(out[0][..6], host_mac(2, 3));
    assert_eq!(out[0][15] & 3, 3, "the mark is copied to the inner packet");
}
