//! The key of a packet's flow, which steering hashes. It is the same for both directions.

use crate::address::Address;
use crate::bytes::Bytes;
use crate::headers::{Headers, IPV4, Malformed, protocol};
use crate::ipv6;

/// Octets of the ICMP header, in front of the packet that an error quotes.
const ICMP: usize = 8;

/// The two ends of a flow and its protocol. A packet and its reply have equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The lesser end: address and port.
    pub low: (Address, u16),
    /// The greater end.
    pub high: (Address, u16),
    /// The IP protocol.
    pub protocol: u8,
}

impl FlowKey {
    /// The key of a flow between two ends (address, port), in either order.
    #[inline(always)]
    pub fn new(protocol: u8, a: (Address, u16), b: (Address, u16)) -> Self {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        Self {
            low,
            high,
            protocol,
        }
    }

    /// The key of the packet with these `headers`.
    ///
    /// A fragment's key has addresses and protocol only: later fragments have no ports and must not
    /// overtake the first. The key of an ICMP error is that of the quoted packet, so that a "too
    /// big" goes through the same gateway as its flow.
    #[inline(always)]
    pub fn of<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Self {
        // Octets behind the packet, such as Ethernet padding, do not belong to the packet.
        let end = headers.l3 + headers.total;
        match Self::quoted(packet, headers) {
            Some(quoted) => Self::of_payload(packet, &quoted, end),
            None => Self::of_payload(packet, headers, end),
        }
    }

    /// The headers of the packet that an ICMP error quotes. `None` if the packet with these
    /// `headers` is not an ICMP error, or quotes no valid headers.
    #[inline(always)]
    pub fn quoted<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Option<Headers> {
        let end = headers.l3 + headers.total;
        let quote = headers.l4 + ICMP;
        let quoted = match (icmp_type(packet, headers, end), headers.is_ipv4()) {
            // Unreachable, source quench, redirect, time exceeded, parameter problem.
            (Some(3 | 4 | 5 | 11 | 12), true) if quote + IPV4 <= end => {
                Headers::quoted_ipv4(packet, quote)
            }
            // Unreachable, too big, time exceeded, parameter problem.
            (Some(1..=4), false) => ipv6::parse(packet, quote, end),
            _ => Err(Malformed),
        };
        quoted.ok()
    }

    #[inline(always)]
    fn of_payload<B: Bytes + ?Sized>(packet: &B, headers: &Headers, end: usize) -> Self {
        let [source, destination] = match protocol::has_ports(headers.protocol) && !headers.fragment
        {
            true => words(packet, headers.l4, end).unwrap_or([0, 0]),
            false => {
                let [identifier] = echo(packet, headers, end).unwrap_or([0]);
                [identifier, identifier]
            }
        };
        Self::new(
            headers.protocol,
            (headers.source, source),
            (headers.destination, destination),
        )
    }
}

/// The identifier of an ICMP echo request or reply, used in place of the ports.
#[inline(always)]
fn echo<B: Bytes + ?Sized>(packet: &B, headers: &Headers, end: usize) -> Option<[u16; 1]> {
    match (icmp_type(packet, headers, end), headers.is_ipv4()) {
        (Some(0 | 8), true) | (Some(128 | 129), false) => words(packet, headers.l4 + 4, end),
        _ => None,
    }
}

/// The message type, if the payload is ICMP for IPv4 or ICMPv6 for IPv6, and not a fragment.
#[inline(always)]
fn icmp_type<B: Bytes + ?Sized>(packet: &B, headers: &Headers, end: usize) -> Option<u16> {
    let icmp = match headers.is_ipv4() {
        true => protocol::ICMP,
        false => protocol::ICMPV6,
    };
    if headers.protocol != icmp || headers.fragment {
        return None;
    }
    words(packet, headers.l4, end).map(|[kind]| kind >> 8)
}

/// Reads words of a packet that ends at `end`, which may be before the end of the frame.
#[inline(always)]
fn words<const N: usize, B: Bytes + ?Sized>(packet: &B, at: usize, end: usize) -> Option<[u16; N]> {
    if at + 2 * N > end {
        return None;
    }
    packet.words(at)
}
