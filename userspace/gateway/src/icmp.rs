//! The two ICMP errors that a tunnel's entry must send, in either family.

mod v4;
mod v6;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_steering::Headers;

/// Octets in front of the packet that an error quotes: type, code, checksum, MTU.
const ICMP: usize = 8;
const TTL: u8 = 64;

/// An error about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The TTL or hop limit ran out here.
    TimeExceeded,
    /// The tunnel carries no more than this many octets in one packet.
    TooBig { mtu: usize },
}

/// Where errors come from: an address of this host for each family that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sources {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl Sources {
    /// Of each family the first address in `addresses`.
    pub(crate) fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let (mut v4, mut v6) = (None, None);
        for address in addresses {
            match address {
                IpAddr::V4(address) => v4 = v4.or(Some(address)),
                IpAddr::V6(address) => v6 = v6.or(Some(address)),
            }
        }
        Self { v4, v6 }
    }
}

/// Whether an error about the packet in `frame` may be sent.
pub(crate) fn allowed(error: Error, frame: &[u8], headers: &Headers) -> bool {
    if headers.is_ipv4() {
        v4::allowed(frame, headers)
    } else {
        v6::allowed(error, frame, headers)
    }
}

/// Writes the IP packet of an error about `packet`, which stands under its own header, to the
/// packet's source. Quotes as much as fits. Returns its length, or `None` if there is no address
/// of the packet's family to send it from, or `out` has no room for its headers.
pub(crate) fn write(
    error: Error,
    sources: &Sources,
    packet: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    match packet.first()? >> 4 {
        4 => v4::write(error, sources.v4?, packet, out),
        _ => v6::write(error, sources.v6?, packet, out),
    }
}

/// One's complement sum of 16-bit words the slow way, with the carry at each step.
#[cfg(test)]
fn naive_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u16;
    for pair in bytes.chunks(2) {
        let word = u16::from(pair[0]) * 256 + u16::from(pair.get(1).copied().unwrap_or(0));
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    sum
}
