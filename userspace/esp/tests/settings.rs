//! The settings of an SA: sequence numbers of 32 bits, TFC padding, DSCP, DF and lifetime.

mod common;

use std::time::Duration;

use causeway_esp::{
    Cipher, DontFragment, Dscp, InboundConfig, InboundSa, Lifetime, LifetimeState, Limits,
    OpenError, Opened, OutboundConfig, OutboundSa, Outer, SealError, TAIL_ROOM, Tfc, Usage,
};
use common::*;
use proptest::prelude::*;

fn default() -> OutboundConfig {
    sending(Cipher::Aes128Gcm, Outer::new(ENDS_V4, RAW, 64), 1)
}

fn receiver(esn: bool, lifetime: Lifetime) -> InboundSa {
    let config = InboundConfig::new(spi(), key(Cipher::Aes128Gcm), 64);
    InboundSa::new(InboundConfig {
        esn,
        lifetime,
        ..config
    })
    .unwrap()
}

/// RFC 4106 section 5: without ESN the ICV covers SPI and the 32-bit number. Packets open only if both peers
/// have the same setting.
/// Standard: gcm-aad
#[test]
fn esn_is_authenticated() {
    for (sends, receives) in [(true, true), (false, false), (true, false), (false, true)] {
        let mut sender = OutboundSa::new(OutboundConfig {
            esn: sends,
            ..default()
        });
        let sealed = seal(&mut sender, &packet(80)).unwrap();
        let answer = open(
            &mut receiver(receives, Lifetime::default()),
            esp(&sealed),
            0,
        );
        match sends == receives {
            true => assert_eq!(answer, Ok(packet(80))),
            false => assert_eq!(answer, Err(OpenError::BadIcv)),
        }
    }
}

/// RFC 4303 section 3.3.3: without ESN the SA ends after 32 bits. The packet with the last number still opens.
/// Standard: counter-stops, gcm-aad
#[test]
fn without_esn_an_sa_ends_at_32_bits() {
    let mut sender = OutboundSa::new(OutboundConfig {
        esn: false,
        ..sending(
            Cipher::Aes128Gcm,
            Outer::new(ENDS_V4, RAW, 64),
            u32::MAX.into(),
        )
    });
    let sealed = seal(&mut sender, &packet(80)).unwrap();
    assert_eq!(seal(&mut sender, &packet(80)), Err(SealError::Exhausted));
    let mut receiver = receiver(false, Lifetime::default());
    assert_eq!(open(&mut receiver, esp(&sealed), 0), Ok(packet(80)));
    assert_eq!(
        open(&mut receiver, esp(&sealed), 0),
        Err(OpenError::Replayed)
    );
}

proptest! {
    /// RFC 4303 section 2.7: shorter packets are padded to the length, with zeros and not with old bytes of
    /// the frame. The receiver strips the padding.
    /// Standard: tfc-made, tfc-stripped
    #[test]
    fn lengths_are_hidden(len in 40..600usize, ipv6: bool, pad_to in 0..600usize, bound in 0..600usize) {
        let inner = if ipv6 { packet6(len, 0) } else { packet(len) };
        let mut sender = OutboundSa::new(OutboundConfig { tfc: Tfc::PadTo(pad_to), ..default() });
        sender.bound_padding(bound);
        let padded = len.max(pad_to.min(bound));
        let mut frame = inner.clone();
        frame.resize(padded + TAIL_ROOM, 0xee);
        let mut out = [0; 800];
        let total = sender.seal(&mut frame, len, &mut out).unwrap();
        prop_assert_eq!(total, len + sender.overhead(len));
        prop_assert_eq!(total, (20 + 16 + padded + 2).next_multiple_of(4) + 16);
        let plaintext = plaintext(esp(&out[..total]));
        prop_assert_eq!(&plaintext[..len], &inner[..]);
        prop_assert!(plaintext[len..padded].iter().all(|&byte| byte == 0));
        prop_assert_eq!(open(&mut pair().1, esp(&out[..total]), 0), Ok(inner));
    }

    /// RFC 4301 section 4.4.2.1: DSCP is copied or set to one value; ECN is always copied.
    /// Standard: dscp-set, dscp-copied, ecn-in
    #[test]
    fn dscp_is_copied_or_set(tos: u8, dscp in 0..64u8, ipv6: bool) {
        let ends = if ipv6 { ENDS_V6 } else { ENDS_V4 };
        for (setting, expected) in [
            (Dscp::Copy, tos),
            (Dscp::Set(dscp), dscp << 2 | tos & 3),
        ] {
            let outer = Outer { dscp: setting, ..Outer::new(ends, RAW, 64) };
            let mut sender = OutboundSa::new(sending(Cipher::Aes128Gcm, outer, 1));
            let sealed = seal(&mut sender, &packet_with_tos(60, tos)).unwrap();
            let outer_tos = match ipv6 {
                true => sealed[0] << 4 | sealed[1] >> 4,
                false => sealed[1],
            };
            prop_assert_eq!(outer_tos, expected);
            if !ipv6 {
                prop_assert_eq!(ones_complement_sum(&sealed[..20]), 0xffff);
            }
            // The inner DSCP is kept.
            prop_assert_eq!(open(&mut pair().1, esp(&sealed), outer_tos), Ok(packet_with_tos(60, tos)));
        }
    }
}

/// RFC 4301 section 8.1: DF is copied, set or cleared.
/// Standard: df-set, df-copied
#[test]
fn df_is_copied_set_or_cleared() {
    for inner_df in [false, true] {
        for (setting, expected) in [
            (DontFragment::Copy, inner_df),
            (DontFragment::Set, true),
            (DontFragment::Clear, false),
        ] {
            let outer = Outer {
                dont_fragment: setting,
                ..Outer::new(ENDS_V4, UDP, 64)
            };
            let mut sender = OutboundSa::new(sending(Cipher::Aes128Gcm, outer, 1));
            let mut inner = packet(60);
            inner[6] = if inner_df { 0x40 } else { 0 };
            let sealed = seal(&mut sender, &inner).unwrap();
            assert_eq!(sealed[6..8], [if expected { 0x40 } else { 0 }, 0]);
            assert_eq!(ones_complement_sum(&sealed[..20]), 0xffff);
        }
    }
}

fn packets(limit: u64) -> Limits {
    Limits {
        packets: Some(limit),
        ..Limits::default()
    }
}

/// RFC 4301 section 4.4.2.1: a soft limit only changes the state; a hard limit stops the SA, on both sides,
/// and uses no sequence number.
/// Standard: lifetime
#[test]
fn a_hard_limit_stops_the_sa() {
    let lifetime = Lifetime {
        soft: packets(2),
        hard: packets(3),
    };
    let mut sender = OutboundSa::new(OutboundConfig {
        lifetime,
        ..default()
    });
    let mut receiver = receiver(true, lifetime);
    let age = Duration::ZERO;
    for expected in [
        LifetimeState::Active,
        LifetimeState::Active,
        LifetimeState::Due,
    ] {
        assert_eq!(
            (sender.lifetime_state(age), receiver.lifetime_state(age)),
            (expected, expected)
        );
        let sealed = seal(&mut sender, &packet(80)).unwrap();
        assert_eq!(open(&mut receiver, esp(&sealed), 0), Ok(packet(80)));
    }
    assert_eq!(sender.lifetime_state(age), LifetimeState::Expired);
    assert_eq!(seal(&mut sender, &packet(80)), Err(SealError::Expired));
    assert_eq!(sender.sequence().next(), 4);
    assert_eq!(receiver.lifetime_state(age), LifetimeState::Expired);
    let fourth = forge(4, &[0, 59]);
    assert_eq!(open(&mut receiver, &fourth, 0), Err(OpenError::Expired));
    let usage = Usage {
        packets: 3,
        bytes: 3 * 84,
    };
    assert_eq!((sender.usage(), receiver.usage()), (usage, usage));
}

/// A packet that is not authentic does not count towards the lifetime: an attacker cannot end an SA.
/// Standard: lifetime
#[test]
fn forgeries_do_not_count_towards_the_lifetime() {
    let mut receiver = receiver(
        true,
        Lifetime {
            hard: packets(1),
            ..Lifetime::default()
        },
    );
    for number in 1..10 {
        let mut forged = forge(number, &[0, 59]);
        forged[20] ^= 1;
        assert_eq!(open(&mut receiver, &forged, 0), Err(OpenError::BadIcv));
    }
    let mut out = [0; 2];
    assert_eq!(
        receiver.open(&forge(1, &[0, 59]), 0, &mut out),
        Ok(Opened::Dummy)
    );
    assert_eq!(
        receiver.open(&forge(2, &[0, 59]), 0, &mut out),
        Err(OpenError::Expired)
    );
}
