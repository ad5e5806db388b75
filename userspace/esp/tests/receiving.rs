//! Receiving, one test per requirement of the standards.

mod common;

use causeway_esp::{Cipher, InboundSa, OpenError, Opened, TAIL_ROOM};
use common::*;

const ROUND: u64 = 1 << 32;

fn number(n: u64) -> Vec<u8> {
    esp(&seal(&mut outbound(Cipher::Aes128Gcm, RAW, n), &packet(60)).unwrap()).to_vec()
}

fn receive(receiver: &mut InboundSa, n: u64) -> Result<(), OpenError> {
    open(receiver, &number(n), 0).map(|_| ())
}

/// RFC 4303 section 3.4.3: a duplicate is dropped.
/// Standard: duplicate
#[test]
fn a_duplicate_is_dropped() {
    let (_, mut receiver) = pair();
    assert_eq!(receive(&mut receiver, 5), Ok(()));
    assert_eq!(receive(&mut receiver, 5), Err(OpenError::Replayed));
    assert_eq!(receive(&mut receiver, 4), Ok(()));
    assert_eq!(receive(&mut receiver, 4), Err(OpenError::Replayed));
}

/// RFC 4303 section 3.4.3: the replay check precedes the computation of the ICV, so a flood of duplicates
/// costs no cryptography.
/// Standard: replay-first
#[test]
fn the_replay_check_precedes_the_icv() {
    let (_, mut receiver) = pair();
    assert_eq!(receive(&mut receiver, 5), Ok(()));
    let mut forged = number(5);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut receiver, &forged, 0), Err(OpenError::Replayed));
}

/// RFC 4303 section 3.4.3: a packet left of the window is dropped with its own reason; the exact edge is
/// accepted.
/// Standard: replay-too-old, window-edge
#[test]
fn a_packet_left_of_the_window_is_too_old() {
    let mut receiver = inbound(Cipher::Aes128Gcm, 100);
    assert_eq!(receive(&mut receiver, 1000), Ok(()));
    assert_eq!(receive(&mut receiver, 901), Ok(()));
    assert_eq!(receive(&mut receiver, 900), Err(OpenError::TooOld));
    assert_eq!(receive(&mut receiver, 1), Err(OpenError::TooOld));
}

/// RFC 4303 section 3.4.3: a forged high number with a bad ICV does not slide the window.
/// Standard: window-after-icv
#[test]
fn a_forged_number_does_not_slide_the_window() {
    for high in [100, 10_000, ROUND - 100] {
        let (_, mut receiver) = pair();
        assert_eq!(receive(&mut receiver, 2), Ok(()));
        let mut forged = number(high);
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(open(&mut receiver, &forged, 0), Err(OpenError::BadIcv));
        assert_eq!(
            receive(&mut receiver, 1),
            Ok(()),
            "the window slid to {high}"
        );
        assert_eq!(
            receive(&mut receiver, high),
            Ok(()),
            "{high} was marked as seen"
        );
    }
}

/// RFC 4303 section 3.3.3 and appendix A: 0xFFFFFFFE to 1 across the boundary, reordered. The high half is
/// not sent, yet a wrong one fails the ICV.
/// Standard: esn-boundary
#[test]
fn extended_numbers_cross_the_boundary() {
    let mut receiver = inbound(Cipher::Aes128Gcm, 64);
    for n in [1, ROUND - 1000, ROUND - 2, ROUND + 1, ROUND - 1, ROUND] {
        assert_eq!(receive(&mut receiver, n), Ok(()), "{n:#x}");
        assert_eq!(
            receive(&mut receiver, n),
            Err(OpenError::Replayed),
            "{n:#x}"
        );
    }
}

/// RFC 4303 appendix A2: the high half is inferred and authenticated. A packet of another round of 2^32
/// fails if its IV is not the number.
/// Standard: esn-inferred
#[test]
fn a_packet_of_another_round_is_refused() {
    let inner = [&packet(40)[..], &[1, 2, 2, 4]].concat();
    let (_, mut receiver) = pair();
    for n in [ROUND + 7, 3 * ROUND + 7] {
        let other = forge_with_iv(n, 0x5eed, &inner);
        assert_eq!(open(&mut receiver, &other, 0), Err(OpenError::BadIcv));
    }
    let this = forge_with_iv(1000, 0x5eed, &inner);
    assert_eq!(open(&mut receiver, &this, 0), Ok(packet(40)));
    // An IV that is not the number does not reveal the packet's age.
    let old = forge_with_iv(8, 3, &inner);
    assert_eq!(open(&mut receiver, &old, 0), Err(OpenError::BadIcv));
}

/// RFC 4303 appendix A3: a restarted receiver resynchronises by the IV with a peer that is several rounds
/// ahead, but only with an authentic packet.
#[test]
fn a_restarted_receiver_resynchronises() {
    let ahead = 5 * ROUND + 7;
    let (_, mut receiver) = pair();
    let mut forged = number(ahead);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut receiver, &forged, 0), Err(OpenError::BadIcv));
    assert_eq!(
        receive(&mut receiver, 1),
        Ok(()),
        "a forged packet moved the window"
    );

    assert_eq!(receive(&mut receiver, ahead), Ok(()));
    assert_eq!(receive(&mut receiver, ahead), Err(OpenError::Replayed));
    assert_eq!(receive(&mut receiver, ahead - 3), Ok(()));
    assert_eq!(receive(&mut receiver, 2), Err(OpenError::TooOld));
}

/// RFC 4303 section 3.4.4: plaintext is never released before the ICV is verified.
/// Standard: no-early-plaintext
#[test]
fn a_bad_icv_releases_nothing() {
    for cipher in Cipher::ALL {
        for len in [20, 64, 500, 1400] {
            let sealed = seal(&mut outbound(cipher, RAW, 1), &packet(len)).unwrap();
            let mut forged = esp(&sealed).to_vec();
            *forged.last_mut().unwrap() ^= 0x80;
            let mut out = vec![0xcc; forged.len()];
            let answer = inbound(cipher, 64).open(&forged, 0, &mut out);
            assert_eq!(answer, Err(OpenError::BadIcv));
            assert!(holds_nothing(&out), "{cipher}");
        }
    }
}

/// The ICV covers the SPI: a packet of another SA is refused, even with the same key.
#[test]
fn a_packet_with_another_spi_is_refused() {
    let (_, mut receiver) = pair();
    let mut other = number(1);
    other[3] ^= 1;
    assert_eq!(open(&mut receiver, &other, 0), Err(OpenError::BadIcv));
}

/// RFC 4303 section 2.6: the sender can seal a dummy and the receiver drops it without an error. A repeated
/// dummy is a replay like any other packet.
/// Standard: dummy-made, dummy-dropped
#[test]
fn a_dummy_is_no_error() {
    for len in [0, 1, 100, 1400] {
        let (mut sender, mut receiver) = pair();
        let mut frame = vec![0x77; len + TAIL_ROOM];
        let mut out = vec![0; 1600];
        let sealed = sender.seal_dummy(&mut frame, len, &mut out).unwrap();
        let mut plain = vec![0; 1600];
        let answer = receiver.open(&out[20..sealed], 0, &mut plain);
        assert_eq!(answer, Ok(Opened::Dummy));
        let again = receiver.open(&out[20..sealed], 0, &mut plain);
        assert_eq!(again, Err(OpenError::Replayed));
    }
}

/// RFC 4303 section 2.4: the padding is 1, 2, 3, ..., up to 255 bytes, and the receiver checks it.
/// Standard: padding-inspected
#[test]
fn padding_is_inspected() {
    let inner = packet(40);
    let sealed = |padding: &[u8], pad_len: u8| forge(1, &[&inner, padding, &[pad_len, 4]].concat());
    let all: Vec<u8> = (1..=255).collect();
    for pad in [0, 2, 6, 254, 255] {
        let good = sealed(&all[..pad], pad as u8);
        assert_eq!(open(&mut pair().1, &good, 0).as_ref(), Ok(&inner));
    }
    for (padding, pad_len) in [(&[0, 0][..], 2), (&[1, 3], 2), (&[2, 1], 2), (&[], 41)] {
        let bad = sealed(padding, pad_len);
        assert_eq!(open(&mut pair().1, &bad, 0), Err(OpenError::BadPadding));
    }
}

/// RFC 4303 section 2.7: the inner length removes traffic flow confidentiality padding behind the inner
/// packet.
/// Standard: tfc-stripped
#[test]
fn tfc_padding_is_stripped() {
    let inner = packet(40);
    for extra in [1, 2, 100, 1000] {
        let esp = forge(1, &[&inner[..], &vec![0x99; extra], &[0, 4]].concat());
        assert_eq!(open(&mut pair().1, &esp, 0).as_ref(), Ok(&inner));
    }
}

/// RFC 4303 section 2.6: next header 4 is IPv4, 41 IPv6, 59 a dummy. Every other value has its own error,
/// and so has a packet of the other IP version.
/// Standard: inner-ipv4, inner-ipv6
#[test]
fn other_next_headers_are_refused() {
    for next_header in (0..=255).filter(|&n| ![4, 41, 59].contains(&n)) {
        let esp = forge(1, &[&packet(40)[..], &[1, 2, 2, next_header]].concat());
        assert_eq!(open(&mut pair().1, &esp, 0), Err(OpenError::NextHeader));
    }
    for (inner, next_header) in [(packet(40), 41), (packet6(40, 0), 4)] {
        let esp = forge(1, &[&inner[..], &[1, 2, 2, next_header]].concat());
        assert_eq!(open(&mut pair().1, &esp, 0), Err(OpenError::InnerMalformed));
    }
}

#[test]
fn a_malformed_inner_packet_is_refused() {
    for (at, value) in [(0, 0x65), (0, 0x44), (0, 0x4f), (3, 19), (3, 41), (2, 4)] {
        let mut inner = packet(40);
        inner[at] = value;
        let esp = forge(1, &[&inner[..], &[1, 2, 2, 4]].concat());
        let answer = open(&mut pair().1, &esp, 0);
        assert_eq!(
            answer,
            Err(OpenError::InnerMalformed),
            "byte {at} = {value}"
        );
    }
    for len in 0..20 {
        let esp = forge(1, &[&packet(20)[..len], &[0, 4]].concat());
        assert_eq!(open(&mut pair().1, &esp, 0), Err(OpenError::InnerMalformed));
    }
}

/// The shortest ESP packet with a 16-octet ICV has 34 bytes.
#[test]
fn short_packets_and_outputs_are_refused() {
    let (_, mut receiver) = pair();
    let shortest = forge(1, &[0, 59]);
    assert_eq!(shortest.len(), 34);
    for len in 0..34 {
        assert_eq!(
            open(&mut receiver, &shortest[..len], 0),
            Err(OpenError::TooShort)
        );
    }
    let mut out = [0; 2];
    let answer = receiver.open(&shortest, 0, &mut out[..1]);
    assert_eq!(answer, Err(OpenError::OutputTooSmall));
    assert_eq!(receiver.open(&shortest, 0, &mut out), Ok(Opened::Dummy));
}

/// RFC 6040 section 4.2: CE is copied into an ECN-capable packet, whose checksum stays valid. Over Not-ECT
/// the packet is dropped with its own reason.
/// Standard: ecn-ce, ecn-not-ect
#[test]
fn congestion_experienced_survives() {
    const CE: u8 = 3;
    for (inner_tos, expected) in [
        (0xb9, Some(0xbb)),
        (0xba, Some(0xbb)),
        (0xbb, Some(0xbb)),
        (0xb8, None),
    ] {
        let inner = packet_with_tos(80, inner_tos);
        let (mut sender, mut receiver) = pair();
        let sealed = seal(&mut sender, &inner).unwrap();
        let answer = open(&mut receiver, esp(&sealed), sealed[1] | CE);
        match expected {
            Some(tos) => assert_eq!(answer, Ok(packet_with_tos(80, tos))),
            None => assert_eq!(answer, Err(OpenError::EcnCeOverNotEct)),
        }
    }
}

/// RFC 2983: a rewritten outer DSCP is not copied to the inner header.
/// Standard: dscp-copied
#[test]
fn the_inner_dscp_is_kept() {
    let inner = packet_with_tos(80, 0xb8);
    let (mut sender, mut receiver) = pair();
    let sealed = seal(&mut sender, &inner).unwrap();
    assert_eq!(open(&mut receiver, esp(&sealed), 0x20), Ok(inner));
}
