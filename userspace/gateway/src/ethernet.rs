//! The Ethernet header: the only place that composes and writes one.

use causeway_steering::headers::{ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6};

pub(crate) type Header = [u8; ETHERNET];

/// The header of an IPv4 or IPv6 packet, without a VLAN tag.
#[inline]
pub(crate) fn header(from: [u8; 6], to: [u8; 6], ipv6: bool) -> Header {
    let ethertype = if ipv6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 };
    let mut header = [0; ETHERNET];
    header[..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&from);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
    header
}

/// Writes the header in front of the IP packet in `frame`.
#[inline(always)]
pub(crate) fn write(frame: &mut [u8], header: &Header) {
    frame[..ETHERNET].copy_from_slice(header);
}

/// Whether the IP packet behind the room for the header is IPv6.
#[inline]
pub(crate) fn carries_ipv6(frame: &[u8]) -> bool {
    frame[ETHERNET] >> 4 == 6
}
