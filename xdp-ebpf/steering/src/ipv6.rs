//! The IPv6 header and its extension headers, RFC 8200 section 4.

use crate::address::Address;
use crate::bytes::{Bytes, wide};
use crate::headers::{Headers, IPV6, Malformed};

/// The most extension headers that the parser skips. A further one counts as the payload, with its
/// own number as the protocol.
///
/// The kernel's verifier walks every path through these headers and through those of a packet that an
/// ICMP error quotes, so its work grows with the square of this limit. For 4 it walks 330,000 of the
/// one million instructions that it allows (Linux 6.18).
const MAX_EXTENSIONS: usize = 4;
/// Octets of the shortest extension header, and the unit of an extension header's length.
const UNIT: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Reads the headers of the packet at `l3`, which must all end by `end`. The payload may exceed
/// `end`, because the packet that an ICMPv6 error quotes is truncated.
#[inline(always)]
pub(crate) fn parse<B: Bytes + ?Sized>(
    packet: &B,
    l3: usize,
    end: usize,
) -> Result<Headers, Malformed> {
    let [w0, _, payload, next, addresses @ ..] = packet.words::<20>(l3).ok_or(Malformed)?;
    let [source, destination] = self::addresses(addresses);
    if w0 >> 12 != 6 || source.is_ipv4() || destination.is_ipv4() || l3 + IPV6 > end {
        return Err(Malformed);
    }
    let total = IPV6 + payload as usize;
    let end = if l3 + total < end { l3 + total } else { end };
    let chain = Chain::walk(packet, l3 + IPV6, (next >> 8) as u8, end)?;
    Ok(Headers {
        l3,
        l4: chain.at,
        total,
        source,
        destination,
        protocol: chain.protocol,
        fragment: chain.fragment,
        dont_fragment: true,
    })
}

/// Source and destination address.
#[inline(always)]
fn addresses(words: [u16; 16]) -> [Address; 2] {
    let long = |at: usize| {
        let high = wide(words[at], words[at + 1]) as u64;
        high << 32 | wide(words[at + 2], words[at + 3]) as u64
    };
    [0, 8].map(|at| Address {
        high: long(at),
        low: long(at + 4),
    })
}

/// The payload behind the extension headers: its offset and its protocol.
struct Chain {
    at: usize,
    protocol: u8,
    fragment: bool,
}

impl Chain {
    #[inline(always)]
    fn walk<B: Bytes + ?Sized>(
        packet: &B,
        mut at: usize,
        mut protocol: u8,
        end: usize,
    ) -> Result<Self, Malformed> {
        for _ in 0..MAX_EXTENSIONS {
            if !matches!(
                protocol,
                HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS
            ) {
                break;
            }
            let [w0, w1] = packet.words(at).ok_or(Malformed)?;
            let units = if protocol == FRAGMENT { 0 } else { w0 & 0xff };
            let behind = at + UNIT + units as usize * UNIT;
            if behind > end {
                return Err(Malformed);
            }
            // With segments left the packet continues to another address, and its payload is for
            // that address.
            if protocol == ROUTING && w1 & 0xff != 0 {
                break;
            }
            // Without an offset and without the "more" flag it is a whole packet, RFC 6946.
            let fragment = protocol == FRAGMENT && w1 & 0xfff9 != 0;
            at = behind;
            protocol = (w0 >> 8) as u8;
            if fragment {
                return Ok(Self {
                    at,
                    protocol,
                    fragment,
                });
            }
        }
        Ok(Self {
            at,
            protocol,
            fragment: false,
        })
    }
}
