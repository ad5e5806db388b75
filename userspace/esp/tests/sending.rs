//! Sending, one test per requirement of the standards.

mod common;

use causeway_esp::{Cipher, OutboundConfig, OutboundSa, Outer, SealError, Sequence, TAIL_ROOM};
use common::*;
use proptest::prelude::*;

/// RFC 4303 section 2.2: the first packet of an SA carries sequence number 1.
/// Standard: first-number
#[test]
fn the_first_packet_has_sequence_number_one() {
    let sealed = seal(&mut outbound(Cipher::Aes128Gcm, RAW, 0), &packet(100)).unwrap();
    assert_eq!(esp(&sealed)[4..8], 1u32.to_be_bytes());
}

/// RFC 4303 section 3.3.3: sending stops before the counter would cycle.
/// Standard: counter-stops
#[test]
fn the_last_number_ends_the_sa() {
    let mut sender = outbound(Cipher::Aes128Gcm, RAW, u64::MAX - 1);
    assert_eq!(sender.sequence_remaining(), 1);
    assert!(seal(&mut sender, &packet(100)).is_ok());
    assert_eq!(seal(&mut sender, &packet(100)), Err(SealError::Exhausted));
    assert_eq!(sender.sequence_remaining(), 0);
}

/// RFC 4303 section 3.3.3, manual keys: a number is used only after it is reserved.
#[test]
fn an_unreserved_number_is_not_used() {
    let mut sender = OutboundSa::new(OutboundConfig {
        sequence: Sequence::new(7),
        ..sending(Cipher::Aes128Gcm, Outer::new(ENDS_V4, RAW, 64), 1)
    });
    assert_eq!(seal(&mut sender, &packet(60)), Err(SealError::NotReserved));
    sender.reserve_until(8);
    assert!(seal(&mut sender, &packet(60)).is_ok());
    assert_eq!(seal(&mut sender, &packet(60)), Err(SealError::NotReserved));
}

/// RFC 4106 section 3.1: the IV never repeats under a key. It is the 64-bit number, whose low half
/// is the number on the wire (RFC 4303 section 2.2.1).
/// Standard: esn-wire, gcm-iv
#[test]
fn the_iv_is_the_extended_number() {
    let start = (3 << 32) - 2;
    let mut sender = outbound(Cipher::ChaCha20Poly1305, RAW, start);
    for number in start..start + 4 {
        let sealed = seal(&mut sender, &packet(60)).unwrap();
        assert_eq!(esp(&sealed)[8..16], number.to_be_bytes());
        assert_eq!(esp(&sealed)[4..8], (number as u32).to_be_bytes());
    }
}

/// RFC 4303 section 2.4: payload and trailer end on a 4-byte boundary; the overhead over IPv4 is
/// 54 to 57 bytes, in UDP 8 more.
/// Standard: overhead, gcm-icv
#[test]
fn overhead_and_alignment_over_ipv4() {
    for (encapsulation, header) in [(RAW, 20), (UDP, 28)] {
        let mut sender = outbound(Cipher::Aes256Gcm, encapsulation, 1);
        for len in 20..100 {
            let sealed = seal(&mut sender, &packet(len)).unwrap();
            let overhead = sealed.len() - len;
            assert_eq!(overhead, sender.overhead(len));
            assert!((header + 34..=header + 37).contains(&overhead));
            assert_eq!(sealed.len() % 4, 0);
        }
    }
}

/// RFC 4303 sections 2.4 to 2.6: padding 1, 2, 3, pad length, next header 4 for IPv4 and 59 for a dummy, all
/// encrypted.
/// Standard: padding-made, dummy-made
#[test]
fn the_trailer_has_padding_length_and_next_header() {
    let mut sender = outbound(Cipher::Aes128Gcm, RAW, 1);
    for (len, trailer) in [
        (42, &[0][..]),
        (41, &[1, 1]),
        (40, &[1, 2, 2]),
        (43, &[1, 2, 3, 3]),
    ] {
        let sealed = seal(&mut sender, &packet(len)).unwrap();
        let expected = [&packet(len)[..], trailer, &[4]].concat();
        assert_eq!(plaintext(esp(&sealed)), expected);

        let mut frame = packet(len);
        frame.resize(len + TAIL_ROOM, 0);
        let mut out = [0; 200];
        let total = sender.seal_dummy(&mut frame, len, &mut out).unwrap();
        let expected = [&packet(len)[..], trailer, &[59]].concat();
        assert_eq!(plaintext(esp(&out[..total])), expected);
    }
}

/// Standard: inner-mtu
#[test]
fn the_longest_inner_packet_fits_the_outer_mtu() {
    let raw = outbound(Cipher::Aes128Gcm, RAW, 1);
    let udp = outbound(Cipher::Aes128Gcm, UDP, 1);
    assert_eq!((raw.max_inner(1500), udp.max_inner(1500)), (1446, 1438));
    assert_eq!(raw.max_inner(0), 0);
    for mtu in 68..3000 {
        for sa in [&raw, &udp] {
            let len = sa.max_inner(mtu);
            assert!(len + sa.overhead(len) <= mtu);
            assert!(len + 1 + sa.overhead(len + 1) > mtu);
        }
    }
}

proptest! {
    /// The outer header has the lengths, addresses, TTL and a valid checksum. DSCP and ECN are copied (RFC 6040
    /// section 4.1, normal mode), and so is DF (RFC 4301 section 8.1). UDP goes from the worker's port to 4500 with
    /// checksum 0 (RFC 3948 section 2.1).
    /// Standard: udp-no-checksum, udp-source-port, ecn-in, dscp-copied, df-copied
    #[test]
    fn the_outer_ipv4_header_has_the_configured_fields(len in 20..2000usize, tos: u8, df: bool, udp: bool, number in 1..u64::MAX) {
        let mut inner = packet_with_tos(len, tos);
        inner[6] = if df { 0x40 } else { 0x20 };
        let mut sender = outbound(Cipher::Aes128Gcm, if udp { UDP } else { RAW }, number);
        let sealed = seal(&mut sender, &inner).unwrap();
        prop_assert_eq!(sealed[0], 0x45);
        prop_assert_eq!(sealed[1], tos);
        prop_assert_eq!(&sealed[2..4], &(sealed.len() as u16).to_be_bytes());
        prop_assert_eq!(&sealed[6..8], if df { &[0x40, 0] } else { &[0, 0] });
        prop_assert_eq!(&sealed[8..10], &[64, if udp { 17 } else { 50 }]);
        prop_assert_eq!(&sealed[12..20], &[10, 1, 0, 101, 10, 2, 0, 101]);
        prop_assert_eq!(ones_complement_sum(&sealed[..20]), 0xffff);
        if udp {
            prop_assert_eq!(&sealed[20..24], &[0x11, 0x95, 0x11, 0x94]);
            prop_assert_eq!(&sealed[24..26], &(sealed.len() as u16 - 20).to_be_bytes());
            prop_assert_eq!(&sealed[26..28], &[0, 0]);
        }
    }
}

/// RFC 6864: consecutive packets that may be fragmented have different identifications.
#[test]
fn identifications_differ() {
    let mut sender = outbound(Cipher::Aes128Gcm, RAW, 1);
    let first = seal(&mut sender, &packet(60)).unwrap();
    let second = seal(&mut sender, &packet(60)).unwrap();
    assert_ne!(first[4..6], second[4..6]);
}

/// Of a 28-byte packet in a 46-byte Ethernet payload, the 18 bytes of Ethernet padding are not sent.
#[test]
fn ethernet_padding_is_not_sent() {
    let inner = packet(28);
    let mut padded = inner.clone();
    padded.resize(46, 0);
    let (mut sender, mut receiver) = pair();
    let sealed = seal(&mut sender, &padded).unwrap();
    assert_eq!(sealed.len(), 28 + sender.overhead(28));
    assert_eq!(open(&mut receiver, esp(&sealed), 0), Ok(inner));
}

/// Sealing writes only to the tail room behind the packet: neither to the packet nor to later bytes.
#[test]
fn sealing_writes_only_to_the_tail_room() {
    for len in 20..60 {
        let inner = packet(len);
        let mut frame = inner.clone();
        frame.resize(len + TAIL_ROOM + 8, 0xee);
        let mut out = [0; 256];
        let mut sender = outbound(Cipher::Aes128Gcm, RAW, 1);
        sender.seal(&mut frame, len, &mut out).unwrap();
        assert_eq!(frame[..len], inner);
        assert_eq!(frame[len + TAIL_ROOM..], [0xee; 8]);
    }
}

/// Each refusal has its own error and uses no sequence number.
#[test]
fn a_refused_packet_uses_no_number() {
    let mut sender = outbound(Cipher::Aes128Gcm, RAW, 1);
    let mut ipv6 = packet(40);
    ipv6[0] = 0x65;
    assert_eq!(seal(&mut sender, &ipv6), Err(SealError::NotIp));
    let mut cut = packet(40);
    cut[3] = 41;
    assert_eq!(seal(&mut sender, &cut), Err(SealError::NotIp));

    let mut frame = packet(40);
    let mut out = [0; 40 + 57];
    assert_eq!(
        sender.seal(&mut frame, 40, &mut out),
        Err(SealError::NoTailRoom)
    );
    frame.resize(40 + TAIL_ROOM, 0);
    let needed = 40 + sender.overhead(40);
    assert_eq!(
        sender.seal(&mut frame, 40, &mut out[..needed - 1]),
        Err(SealError::OutputTooSmall)
    );
    assert_eq!(sender.sequence().next(), 1);
    assert_eq!(sender.seal(&mut frame, 40, &mut out[..needed]), Ok(needed));
}
