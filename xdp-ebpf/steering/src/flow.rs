//! What a packet belongs to: the key on which steering hashes, without a direction.

use crate::address::Address;
use crate::bytes::Bytes;
use crate::headers::{Headers, IPV4, protocol};

/// ICMP's own header, in front of the packet that an error quotes.
const ICMP: usize = 8;

/// The two ends of a flow and its protocol. A packet and its answer have equal keys.
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

    /// The key of the packet under `headers`.
    ///
    /// Every fragment is known by addresses and protocol alone, since later ones have no ports
    /// and must not overtake the first. An ICMP error is known by the packet that it quotes, so
    /// that a flow's "too big" takes the flow's own way.
    #[inline(always)]
    pub fn of<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Self {
        // What a frame carries behind the packet, such as Ethernet padding, tells nothing about it.
        let end = headers.l3 + headers.total;
        if headers.protocol != protocol::ICMP || headers.fragment {
            return Self::of_transport(packet, headers, end);
        }
        // Unreachable, source quench, redirect, time exceeded, parameter problem.
        let quote = headers.l4 + ICMP;
        if let Some(3 | 4 | 5 | 11 | 12) = icmp_type(packet, headers, end)
            && quote + IPV4 <= end
            && let Ok(quoted) = Headers::quoted_ipv4(packet, quote)
        {
            if quoted.protocol == protocol::ICMP && !quoted.fragment {
                return Self::of_echo(packet, &quoted, end);
            }
            return Self::of_transport(packet, &quoted, end);
        }
        Self::of_echo(packet, headers, end)
    }

    #[inline(always)]
    fn of_transport<B: Bytes + ?Sized>(packet: &B, headers: &Headers, end: usize) -> Self {
        let ports = match headers.protocol {
            protocol::TCP | protocol::UDP | protocol::SCTP if !headers.fragment => {
                words(packet, headers.l4, end)
            }
            _ => None,
        };
        let [source, destination] = ports.unwrap_or([0, 0]);
        Self::new(
            headers.protocol,
            (headers.source, source),
            (headers.destination, destination),
        )
    }

    /// Echo and its answer share an identifier, which stands for the ports; other messages have none.
    #[inline(always)]
    fn of_echo<B: Bytes + ?Sized>(packet: &B, headers: &Headers, end: usize) -> Self {
        let identifier = match icmp_type(packet, headers, end) {
            Some(0 | 8) => words(packet, headers.l4 + 4, end),
            _ => None,
        };
        let [identifier] = identifier.unwrap_or([0]);
        Self::new(
            protocol::ICMP,
            (headers.source, identifier),
            (headers.destination, identifier),
        )
    }
}

#[inline(always)]
fn icmp_type<B: Bytes + ?Sized>(packet: &B, headers: &Headers, end: usize) -> Option<u16> {
    words(packet, headers.l4, end).map(|[kind]| kind >> 8)
}

/// Words of a packet that ends at `end`.
#[inline(always)]
fn words<const N: usize, B: Bytes + ?Sized>(packet: &B, at: usize, end: usize) -> Option<[u16; N]> {
    if at + 2 * N > end {
        return None;
    }
    packet.words(at)
}
