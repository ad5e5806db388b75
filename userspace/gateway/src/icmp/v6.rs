//! ICMPv6 (RFC 4443): packet too big, section 3.2, and time exceeded, section 3.3.

use std::net::Ipv6Addr;
use std::ops::Range;

use causeway_steering::Headers;
use causeway_steering::headers::{IPV6, protocol};

use super::error::{Error, ICMP, TTL};
use crate::checksum::checksum_ipv6;

/// An error fits into the MTU of every link: RFC 4443 section 2.4 (c).
const LONGEST: usize = 1280;
const SOURCE: Range<usize> = 8..24;
const DESTINATION: Range<usize> = 24..40;
/// Lower types are errors: RFC 4443 section 2.1.
const FIRST_QUERY: u8 = 128;
/// RFC 4443 section 2.4 (e.2) forbids errors about redirects, although a redirect is no error.
const REDIRECT: u8 = 137;

/// Whether RFC 4443 section 2.4 (e) allows `error` about the packet in `frame`.
pub(super) fn allowed(error: Error, frame: &[u8], headers: &Headers) -> bool {
    // Without the frame's padding.
    let Some(packet) = frame.get(headers.l3..headers.l3 + headers.total) else {
        return false;
    };
    // About a packet to a group only packet too big is allowed: (e.3), (e.4), (e.5).
    let group = frame[0] & 1 != 0 || packet[DESTINATION.start] == 0xff;
    let about_group = matches!(error, Error::TooBig { .. });
    let source = source(packet);
    let one_host = !(source.is_multicast() || source.is_unspecified() || source.is_loopback());
    one_host && (!group || about_group) && !about_error(packet, headers)
}

fn source(packet: &[u8]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&packet[SOURCE]);
    octets.into()
}

/// Whether the packet is an ICMPv6 error or a redirect. A truncated packet and a later fragment, whose type is unknown,
/// count as one.
fn about_error(packet: &[u8], headers: &Headers) -> bool {
    let l4 = headers.l4 - headers.l3;
    headers.protocol == protocol::ICMPV6
        && (headers.fragment && offset(packet, l4) != 0
            || packet
                .get(l4)
                .is_none_or(|&kind| kind < FIRST_QUERY || kind == REDIRECT))
}

/// The fragment offset in the fragment header that ends at `l4`: RFC 8200 section 4.5.
fn offset(packet: &[u8], l4: usize) -> u16 {
    u16::from_be_bytes([packet[l4 - 6], packet[l4 - 5]]) & 0xfff8
}

/// Writes the IPv6 packet of an error about `packet`, which starts with its IPv6 header, from `source` to
/// the packet's source. Quotes as much of it as fits. Returns the length, or `None` if `out` has no room for the headers.
pub(super) fn write(
    error: Error,
    source: Ipv6Addr,
    packet: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    let room = out.len().min(LONGEST);
    let quote = packet.len().min(room.checked_sub(IPV6 + ICMP)?);
    let length = IPV6 + ICMP + quote;
    let out = &mut out[..length];

    out[..4].copy_from_slice(&[0x60, 0, 0, 0]);
    out[4..6].copy_from_slice(&((ICMP + quote) as u16).to_be_bytes());
    out[6..8].copy_from_slice(&[protocol::ICMPV6, TTL]);
    out[SOURCE].copy_from_slice(&source.octets());
    out[DESTINATION].copy_from_slice(packet.get(SOURCE)?);

    let (kind, mtu) = match error {
        Error::TooBig { mtu } => (2, mtu as u32),
        Error::TimeExceeded => (3, 0),
    };
    let message = &mut out[IPV6..];
    message[..4].copy_from_slice(&[kind, 0, 0, 0]);
    message[4..ICMP].copy_from_slice(&mtu.to_be_bytes());
    message[ICMP..].copy_from_slice(&packet[..quote]);
    let sum = checksum_ipv6(out, protocol::ICMPV6);
    out[IPV6 + 2..IPV6 + 4].copy_from_slice(&sum.to_be_bytes());
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icmp::error::naive_sum;
    use proptest::prelude::*;

    const HOST: [u8; 16] = [0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    const PEER: [u8; 16] = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    const GATEWAY: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 0x101);
    const TOO_BIG: Error = Error::TooBig { mtu: 1400 };

    fn frame(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend_from_slice(&[
            0x86,
            0xdd,
            0x60,
            0,
            0,
            0,
            0,
            payload.len() as u8,
            protocol,
            9,
        ]);
        frame.extend_from_slice(&HOST);
        frame.extend_from_slice(&PEER);
        frame.extend_from_slice(payload);
        frame
    }

    fn is_allowed(error: Error, frame: &[u8]) -> bool {
        allowed(
            error,
            frame,
            &Headers::parse(frame, 14).expect("an IPv6 packet"),
        )
    }

    proptest! {
        /// An error is a complete packet with a correct checksum that quotes its cause.
        /// Standard: pmtu-inner, ttl-exceeded
        #[test]
        fn well_formed(
            packet in proptest::collection::vec(any::<u8>(), 40..2000),
            mtu in prop::option::of(1280usize..100_000),
            room in 64usize..2000,
        ) {
            let error = mtu.map_or(Error::TimeExceeded, |mtu| Error::TooBig { mtu });
            let mut out = vec![0xaa; room];
            let length = write(error, GATEWAY, &packet, &mut out).expect("room");
            let out = &out[..length];
            prop_assert!(length <= 1280);
            prop_assert_eq!(&out[..4], &[0x60, 0, 0, 0]);
            prop_assert_eq!(usize::from(u16::from_be_bytes([out[4], out[5]])), length - 40);
            prop_assert_eq!(&out[6..8], &[58, 64]);
            prop_assert_eq!(&out[8..24], &GATEWAY.octets());
            prop_assert_eq!(&out[24..40], &packet[8..24]);
            let pseudo = [&out[8..40], &(length as u32 - 40).to_be_bytes(), &[0, 0, 0, 58]].concat();
            prop_assert_eq!(naive_sum(&[&pseudo, &out[40..]].concat()), 0xffff);
            prop_assert_eq!(&out[48..], &packet[..length - 48]);
            prop_assert!(length == 1280 || length == room || length == 48 + packet.len());
            let quoted_mtu = u32::from_be_bytes([out[44], out[45], out[46], out[47]]);
            match mtu {
                None => prop_assert_eq!((&out[40..42], quoted_mtu), (&[3, 0][..], 0)),
                Some(mtu) => prop_assert_eq!((&out[40..42], quoted_mtu), (&[2, 0][..], mtu as u32)),
            }
        }

        /// No panic on arbitrary octets behind an IPv6 header.
        #[test]
        fn any_packet(protocol in prop::sample::select(vec![0u8, 43, 44, 58, 60]), payload: Vec<u8>) {
            let payload = &payload[..payload.len().min(255)];
            let frame = frame(protocol, payload);
            if let Ok(headers) = Headers::parse(&frame[..], 14) {
                allowed(TOO_BIG, &frame, &headers);
            }
        }
    }

    #[test]
    fn errors_only_where_rfc_4443_allows_them() {
        for error in [TOO_BIG, Error::TimeExceeded] {
            assert!(is_allowed(error, &frame(17, &[0; 8])));
            assert!(
                is_allowed(error, &frame(58, &[128, 0, 0, 0])),
                "about an echo"
            );
            assert!(
                !is_allowed(error, &frame(58, &[1, 0, 0, 0])),
                "about an error (e.1)"
            );
            assert!(
                !is_allowed(error, &frame(58, &[127, 0])),
                "about an unknown error (e.1)"
            );
            assert!(
                !is_allowed(error, &frame(58, &[137, 0])),
                "about a redirect (e.2)"
            );
            let mut untyped = frame(58, &[]);
            assert!(!is_allowed(error, &untyped), "about ICMP without a type");
            untyped.resize(70, 128);
            assert!(
                !is_allowed(error, &untyped),
                "about ICMP without a type, padded"
            );
            for source in [
                Ipv6Addr::UNSPECIFIED,
                Ipv6Addr::LOCALHOST,
                "ff02::1".parse().unwrap(),
            ] {
                let mut from = frame(17, &[]);
                from[14 + 8..14 + 24].copy_from_slice(&source.octets());
                assert!(!is_allowed(error, &from), "towards {source} (e.6)");
            }
        }
    }

    #[test]
    fn only_packet_too_big_is_sent_about_a_packet_to_a_group() {
        let mut multicast = frame(17, &[]);
        multicast[14 + 24] = 0xff;
        let mut group_mac = frame(17, &[]);
        group_mac[0] = 0x33;
        for frame in [multicast, group_mac] {
            assert!(is_allowed(TOO_BIG, &frame), "(e.3), (e.4)");
            assert!(!is_allowed(Error::TimeExceeded, &frame));
        }
    }

    /// Only the first fragment of an echo shows its type.
    #[test]
    fn a_later_fragment_of_icmp_counts_as_an_error() {
        let echo = [128, 0, 0, 0, 0, 0, 0, 0];
        let piece = |offset: u8| {
            frame(
                44,
                &[&[58, 0, 0, offset | 1, 0, 0, 0, 1][..], &echo].concat(),
            )
        };
        assert!(is_allowed(TOO_BIG, &piece(0)));
        assert!(!is_allowed(TOO_BIG, &piece(8)));
        let udp = frame(44, &[&[17, 0, 0, 8, 0, 0, 0, 1][..], &echo].concat());
        assert!(is_allowed(TOO_BIG, &udp), "nothing forbids it");
    }
}
