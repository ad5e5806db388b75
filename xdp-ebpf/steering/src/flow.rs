//! What a packet belongs to: the key on which steering hashes, without a direction.

use crate::bytes::Bytes;
use crate::headers::{Headers, protocol};

/// ICMP's own header, in front of the packet that an error quotes.
const ICMP: usize = 8;

/// The two ends of a flow and its protocol. A packet and its answer have equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The lesser end: address and port (`address << 16 | port`).
    pub low: u64,
    /// The greater end.
    pub high: u64,
    /// The IP protocol.
    pub protocol: u8,
}

impl FlowKey {
    /// The key of a flow between two ends (address, port), in either order.
    #[inline(always)]
    pub fn new(protocol: u8, a: (u32, u16), b: (u32, u16)) -> Self {
        let a = (a.0 as u64) << 16 | a.1 as u64;
        let b = (b.0 as u64) << 16 | b.1 as u64;
        Self {
            low: if a < b { a } else { b },
            high: if a < b { b } else { a },
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
        if headers.protocol == protocol::ICMP && !headers.fragment {
            return Self::of_icmp(packet, headers);
        }
        Self::of_transport(packet, headers)
    }

    #[inline(always)]
    fn of_transport<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Self {
        let ports = match headers.protocol {
            protocol::TCP | protocol::UDP | protocol::SCTP if !headers.fragment => {
                packet.words::<2>(headers.l4)
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

    #[inline(always)]
    fn of_icmp<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Self {
        // Unreachable, source quench, redirect, time exceeded, parameter problem.
        if let Some(3 | 4 | 5 | 11 | 12) = icmp_type(packet, headers)
            && let Ok(quoted) = Headers::parse_quoted(packet, headers.l4 + ICMP)
        {
            if quoted.protocol == protocol::ICMP && !quoted.fragment {
                return Self::of_echo(packet, &quoted);
            }
            return Self::of_transport(packet, &quoted);
        }
        Self::of_echo(packet, headers)
    }

    /// Echo and its answer share an identifier, which stands for the ports; other messages have none.
    #[inline(always)]
    fn of_echo<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Self {
        let identifier = match icmp_type(packet, headers) {
            Some(0 | 8) => packet.words::<1>(headers.l4 + 4),
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
fn icmp_type<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Option<u16> {
    packet.words::<1>(headers.l4).map(|[kind]| kind >> 8)
}
