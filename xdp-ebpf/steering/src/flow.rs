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
        if let Some([kind, _, identifier, _]) = packet.words::<4>(headers.l4) {
            match kind >> 8 {
                // Unreachable, source quench, redirect, time exceeded, parameter problem.
                3 | 4 | 5 | 11 | 12 => {
                    if let Ok(quoted) = Headers::parse_quoted(packet, headers.l4 + ICMP) {
                        return Self::of_transport(packet, &quoted);
                    }
                }
                // Echo and its answer share an identifier.
                0 | 8 => {
                    return Self::new(
                        protocol::ICMP,
                        (headers.source, identifier),
                        (headers.destination, identifier),
                    );
                }
                _ => {}
            }
        }
        Self::new(
            protocol::ICMP,
            (headers.source, 0),
            (headers.destination, 0),
        )
    }
}
