//! The IPv6 header and its extension headers, RFC 8200 section 4.

use crate::address::Address;
use crate::bytes::{Bytes, wide};
use crate::headers::{Headers, IPV6, Malformed};

/// How many extension headers are looked behind. RFC 8200 section 4.1 orders five besides AH; what
/// stands behind more is known by the next one's own number, as if it were the payload.
const MAX_EXTENSIONS: usize = 6;
/// Octets of the shortest extension header, and the unit in which they grow.
const UNIT: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Reads the headers of the packet at `l3`, all of which must stand in front of `end`. Whether its
/// payload does is not asked, since an ICMPv6 error quotes a packet that is cut off.
#[inline(always)]
pub(crate) fn parse<B: Bytes + ?Sized>(
    packet: &B,
    l3: usize,
    end: usize,
) -> Result<Headers, Malformed> {
    if l3 + IPV6 > end {
        return Err(Malformed);
    }
    let [w0, _, payload, next, s0, s1, s2, s3, s4, s5, s6, s7] =
        packet.words::<12>(l3).ok_or(Malformed)?;
    let [d0, d1, d2, d3, d4, d5, d6, d7] = packet.words::<8>(l3 + 24).ok_or(Malformed)?;
    let source = address([s0, s1, s2, s3, s4, s5, s6, s7]);
    let destination = address([d0, d1, d2, d3, d4, d5, d6, d7]);
    if w0 >> 12 != 6 || source.is_ipv4() || destination.is_ipv4() {
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

#[inline(always)]
fn address([a, b, c, d, e, f, g, h]: [u16; 8]) -> Address {
    Address {
        high: (wide(a, b) as u64) << 32 | wide(c, d) as u64,
        low: (wide(e, f) as u64) << 32 | wide(g, h) as u64,
    }
}

/// What stands behind the extension headers.
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
            // Segments left: the packet goes on to another address, and what it carries is for that.
            if protocol == ROUTING && w1 & 0xff != 0 {
                break;
            }
            // Offset or "more"; without both it is a whole packet, RFC 6946.
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
