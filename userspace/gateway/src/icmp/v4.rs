//! ICMP for IPv4 (RFC 792, RFC 1191, RFC 1812 section 4.3): destination unreachable because
//! fragmentation is needed, and time exceeded.

use std::net::Ipv4Addr;

use causeway_steering::Headers;
use causeway_steering::headers::{IPV4, protocol};

use super::error::{Error, ICMP, TTL};
use crate::checksum::checksum;

/// An error of this length is never fragmented: RFC 1812 section 4.3.2.3.
const LONGEST: usize = 576;
/// Precedence 6, internetwork control: RFC 1812 section 4.3.2.5.
const TOS: u8 = 0xc0;
const DONT_FRAGMENT: u8 = 0x40;

/// Whether RFC 1122 section 3.2.2 and RFC 1812 section 4.3.2.7 allow an error about the packet in
/// `frame`.
pub(super) fn allowed(frame: &[u8], headers: &Headers) -> bool {
    let Some(&[flags, offset]) = frame.get(headers.l3 + 6..headers.l3 + 8) else {
        return false;
    };
    let later_fragment = u16::from_be_bytes([flags, offset]) & 0x1fff != 0;
    let group_mac = frame[0] & 1 != 0;
    // Without the frame's padding, whose zeros look like an echo reply.
    let packet = frame.get(..headers.l3 + headers.total).unwrap_or(frame);
    let icmp_error = headers.protocol == protocol::ICMP
        // An error may answer an echo or another query. Every type that is not a known query counts as an error.
        && !matches!(
            packet.get(headers.l4),
            Some(0 | 8 | 9 | 10 | 13 | 14 | 15 | 16 | 17 | 18)
        );
    let (Some(source), Some(destination)) = (headers.source.ipv4(), headers.destination.ipv4())
    else {
        return false;
    };
    let one_host = !(source.is_multicast()
        || source.is_broadcast()
        || source.is_loopback()
        || source.octets()[0] == 0
        || source.octets()[0] >= 240);
    let group = destination.is_multicast() || destination.is_broadcast();
    !later_fragment && !group_mac && !icmp_error && one_host && !group
}

/// Writes the IPv4 packet of an error about `packet`, which starts with its IPv4 header, from `source` to
/// the packet's source. Quotes as much of it as fits. Returns the length, or `None` if `out` has no room for the headers.
pub(super) fn write(
    error: Error,
    source: Ipv4Addr,
    packet: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    let room = out.len().min(LONGEST);
    let quote = packet.len().min(room.checked_sub(IPV4 + ICMP)?);
    let length = IPV4 + ICMP + quote;
    let out = &mut out[..length];

    let header = &mut out[..IPV4];
    header.copy_from_slice(&[
        0x45,
        TOS,
        0,
        0,
        0,
        0,
        DONT_FRAGMENT,
        0,
        TTL,
        protocol::ICMP,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(packet.get(12..16)?);
    let sum = checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());

    let message = &mut out[IPV4..];
    let (kind, code, mtu) = match error {
        Error::TimeExceeded => (11, 0, 0),
        // RFC 1191 section 4: the MTU of the next hop.
        Error::TooBig { mtu } => (3, 4, mtu as u16),
    };
    message[..6].copy_from_slice(&[kind, code, 0, 0, 0, 0]);
    message[6..8].copy_from_slice(&mtu.to_be_bytes());
    message[ICMP..].copy_from_slice(&packet[..quote]);
    let sum = checksum(message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icmp::error::naive_sum;
    use proptest::prelude::*;

    fn frame(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend_from_slice(&[8, 0]);
        frame.extend_from_slice(&[
            0x45,
            0,
            0,
            (20 + payload.len()) as u8,
            0,
            0,
            0,
            0,
            9,
            protocol,
            0,
            0,
        ]);
        frame.extend_from_slice(&[10, 1, 0, 7, 10, 2, 0, 9]);
        frame.extend_from_slice(payload);
        frame
    }

    fn is_allowed(frame: &[u8]) -> bool {
        allowed(frame, &Headers::parse(frame, 14).expect("an IPv4 packet"))
    }

    proptest! {
        /// An error is a complete packet with correct checksums that quotes its cause.
        #[test]
        fn well_formed(
            packet in proptest::collection::vec(any::<u8>(), 20..2000),
            mtu in prop::option::of(68usize..9000),
            room in 64usize..2000,
        ) {
            let error = mtu.map_or(Error::TimeExceeded, |mtu| Error::TooBig { mtu });
            let mut out = vec![0xaa; room];
            let length = write(error, Ipv4Addr::new(10, 1, 0, 1), &packet, &mut out).expect("room");
            let out = &out[..length];
            prop_assert!(length <= 576);
            prop_assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), length);
            prop_assert_eq!(naive_sum(&out[..20]), 0xffff);
            prop_assert_eq!(naive_sum(&out[20..]), 0xffff);
            prop_assert_eq!(&out[12..16], &[10, 1, 0, 1]);
            prop_assert_eq!(&out[16..20], &packet[12..16]);
            prop_assert_eq!(&out[28..], &packet[..length - 28]);
            prop_assert!(length == 576 || length == room || length == 28 + packet.len());
            match mtu {
                None => prop_assert_eq!(&out[20..22], &[11, 0]),
                Some(mtu) => {
                    prop_assert_eq!(&out[20..22], &[3, 4]);
                    prop_assert_eq!(usize::from(u16::from_be_bytes([out[26], out[27]])), mtu);
                }
            }
        }
    }

    #[test]
    fn errors_only_where_rfc_1122_allows_them() {
        assert!(is_allowed(&frame(17, &[0; 8])));
        assert!(
            is_allowed(&frame(1, &[8, 0, 0, 0, 0, 0, 0, 0])),
            "about an echo"
        );
        assert!(
            !is_allowed(&frame(1, &[3, 4, 0, 0, 0, 0, 0, 0])),
            "about an error"
        );
        let mut untyped = frame(1, &[]);
        assert!(!is_allowed(&untyped), "about ICMP without a type");
        untyped.resize(60, 0);
        assert!(!is_allowed(&untyped), "about ICMP without a type, padded");
        let mut group = frame(17, &[]);
        group[0] = 0xff;
        assert!(!is_allowed(&group), "about a link-layer broadcast");
        let mut fragment = frame(17, &[]);
        fragment[14 + 6..14 + 8].copy_from_slice(&[0x20, 0]);
        assert!(is_allowed(&fragment), "about the first fragment");
        fragment[14 + 7] = 1;
        assert!(!is_allowed(&fragment), "about a later fragment");
        for source in [
            [224, 0, 0, 1],
            [255; 4],
            [0; 4],
            [127, 0, 0, 1],
            [240, 0, 0, 1],
        ] {
            let mut from = frame(17, &[]);
            from[14 + 12..14 + 16].copy_from_slice(&source);
            assert!(!is_allowed(&from), "towards {source:?}");
        }
        let mut multicast = frame(17, &[]);
        multicast[14 + 16] = 225;
        assert!(!is_allowed(&multicast), "about a multicast");
    }
}
