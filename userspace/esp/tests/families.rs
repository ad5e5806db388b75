//! All combinations of IPv4 and IPv6 as inner and outer family (RFC 4303 section 3.1.2).

mod common;

use causeway_esp::{Cipher, Encapsulation, Ends, InboundSa, OpenError, OutboundSa, Outer};
use common::*;
use proptest::prelude::*;

fn tunnel(ends: Ends, encapsulation: Encapsulation) -> (OutboundSa, InboundSa) {
    let outer = Outer::new(ends, encapsulation, 61);
    let sender = OutboundSa::new(sending(Cipher::Aes128Gcm, outer, 1));
    (sender, inbound(Cipher::Aes128Gcm, 64))
}

fn any_ends() -> impl Strategy<Value = Ends> {
    prop::sample::select(&[ENDS_V4, ENDS_V6][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Standard: mixed-families, inner-ipv4, inner-ipv6
    #[test]
    fn any_sealed_packet_opens(
        ends in any_ends(),
        udp: bool,
        ipv6: bool,
        len in 40..3000usize,
        tos: u8,
    ) {
        let inner = if ipv6 { packet6(len, tos) } else { packet_with_tos(len, tos) };
        let (mut sender, mut receiver) = tunnel(ends, if udp { UDP } else { RAW });
        let sealed = seal(&mut sender, &inner).unwrap();
        prop_assert_eq!(sealed.len(), len + sender.overhead(len));
        let next_header = plaintext(esp(&sealed)).pop();
        prop_assert_eq!(next_header, Some(if ipv6 { 41 } else { 4 }));
        prop_assert_eq!(open(&mut receiver, esp(&sealed), tos), Ok(inner));
    }

    /// The outer IPv6 header (RFC 8200 section 3): version, traffic class and flow label 0, payload
    /// length, next header, hop limit, addresses; UDP from the worker's port to 4500 with checksum
    /// 0 (RFC 6935 section 5).
    /// Standard: mixed-families, ecn-in, dscp-copied, udp-source-port, udp-ipv6-checksum
    #[test]
    fn the_outer_ipv6_header_follows_rfc_8200(len in 20..2000usize, tos: u8, udp: bool) {
        let (mut sender, _) = tunnel(ENDS_V6, if udp { UDP } else { RAW });
        let sealed = seal(&mut sender, &packet_with_tos(len, tos)).unwrap();
        let payload = (sealed.len() as u16 - 40).to_be_bytes();
        let first = u32::from_be_bytes(sealed[..4].try_into().unwrap());
        prop_assert_eq!(first, 6 << 28 | u32::from(tos) << 20);
        prop_assert_eq!(&sealed[4..6], &payload);
        prop_assert_eq!(&sealed[6..8], &[if udp { 17 } else { 50 }, 61]);
        let Ends::V6 { source, destination } = ENDS_V6 else { unreachable!() };
        prop_assert_eq!(&sealed[8..40], &[source.octets(), destination.octets()].concat());
        if udp {
            prop_assert_eq!(&sealed[40..44], &[0x11, 0x95, 0x11, 0x94]);
            prop_assert_eq!(&sealed[44..46], &payload);
            prop_assert_eq!(&sealed[46..48], &[0, 0]);
        }
    }

    /// RFC 6040 across families: the ECN fields combine for either family, and no other field changes.
    /// Standard: ecn-out, ecn-ce, ecn-not-ect
    #[test]
    fn congestion_survives_in_ipv6(len in 40..200usize, tos: u8) {
        const CE: u8 = 3;
        let (mut sender, mut receiver) = tunnel(ENDS_V6, RAW);
        let sealed = seal(&mut sender, &packet6(len, tos)).unwrap();
        let answer = open(&mut receiver, esp(&sealed), tos | CE);
        match tos & CE {
            0 => prop_assert_eq!(answer, Err(OpenError::EcnCeOverNotEct)),
            _ => prop_assert_eq!(answer, Ok(packet6(len, tos | CE))),
        }
    }
}

/// Routers do not fragment IPv6 packets: over IPv4 the outer packet of one carries DF.
/// Standard: df-copied
#[test]
fn ipv6_counts_as_df() {
    let (mut sender, _) = tunnel(ENDS_V4, RAW);
    let sealed = seal(&mut sender, &packet6(60, 0)).unwrap();
    assert_eq!(sealed[6..8], [0x40, 0]);
}

/// Over IPv6 the overhead is 74 to 77 bytes, in UDP 8 more. The tunnel's MTU is 1426, in UDP 1418.
/// Standard: overhead, inner-mtu
#[test]
fn overhead_and_mtu_over_ipv6() {
    for (encapsulation, overhead, mtu) in [(RAW, 74, 1426), (UDP, 82, 1418)] {
        let (mut sender, _) = tunnel(ENDS_V6, encapsulation);
        assert_eq!(sender.max_inner(1500), mtu);
        for len in 40..80 {
            let sealed = seal(&mut sender, &packet6(len, 0)).unwrap();
            assert!((overhead..=overhead + 3).contains(&(sealed.len() - len)));
        }
    }
}

/// The IPv6 length removes both TFC padding (RFC 4303 section 2.7) and Ethernet padding.
/// Standard: tfc-stripped
#[test]
fn padding_behind_an_ipv6_packet_is_stripped() {
    let inner = packet6(48, 0);
    let padded = [&inner[..], &[0x99; 12]].concat();
    let esp_packet = forge(1, &[&padded[..], &[0, 41]].concat());
    assert_eq!(open(&mut pair().1, &esp_packet, 0).as_ref(), Ok(&inner));
    let (mut sender, mut receiver) = pair();
    let sealed = seal(&mut sender, &padded).unwrap();
    assert_eq!(sealed.len(), 48 + sender.overhead(48));
    assert_eq!(open(&mut receiver, esp(&sealed), 0), Ok(inner));
}

#[test]
fn ends_of_two_families_are_refused() {
    let [four, six] = ["10.1.0.1", "fd00::1"].map(|text| text.parse().unwrap());
    assert!(Ends::new(four, four).is_ok() && Ends::new(six, six).is_ok());
    for (near, far) in [(four, six), (six, four)] {
        let error = Ends::new(near, far).unwrap_err().to_string();
        assert!(
            error.contains("10.1.0.1") && error.contains("fd00::1"),
            "{error}"
        );
    }
}
