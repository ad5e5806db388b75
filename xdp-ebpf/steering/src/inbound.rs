//! What a packet for this host carries, as far as ESP goes.

use crate::bytes::{Bytes, wide};
use crate::headers::{Headers, PORT_NAT_T, UDP, protocol};

/// Octets of SPI and sequence number, RFC 4303 section 2.
const ESP: usize = 8;

/// What a packet for an address of this host carries, as far as ESP goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// ESP, raw or in UDP: where it stands, and its SPI.
    Esp {
        /// Octets from the start of the packet to the SPI.
        at: usize,
        /// Octets from the start of the packet to the end of ESP.
        end: usize,
        /// The security parameters index.
        spi: u32,
    },
    /// A piece of a fragmented ESP packet, RFC 4303 section 3.4.1.
    EspFragment,
    /// A packet too short for the ESP header that it promises.
    EspTruncated,
    /// IKE on UDP port 4500: four zero octets in front, RFC 3948 section 2.2.
    Ike,
    /// A NAT keepalive: one octet 0xFF, RFC 3948 section 2.3.
    Keepalive,
    /// Anything else.
    Other,
}

impl Inbound {
    /// Tells what the packet under `headers` carries.
    ///
    /// ESP ends where the innermost header that counts it says: what lies behind, Ethernet padding
    /// or octets beyond a UDP datagram, is no part of what the ICV covers.
    #[inline(always)]
    pub fn of<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Self {
        let (at, end) = match headers.protocol {
            protocol::ESP if headers.fragment => return Self::EspFragment,
            protocol::ESP => (headers.l4, headers.l3 + headers.total),
            // A later fragment has no ports; only the kernel can put it together.
            protocol::UDP if !headers.fragment => match packet.words::<4>(headers.l4) {
                Some([_, PORT_NAT_T, length, _]) => {
                    let length = length as usize;
                    // An octet at an odd place of the packet is never looked at: a keepalive is
                    // the one datagram on this port with a single octet.
                    if length == UDP + 1 {
                        return Self::Keepalive;
                    }
                    (headers.l4 + UDP, headers.l4 + length)
                }
                Some(_) => return Self::Other,
                None => return Self::EspTruncated,
            },
            _ => return Self::Other,
        };
        if end > headers.l3 + headers.total || at + ESP > end {
            return Self::EspTruncated;
        }
        match packet.words::<4>(at) {
            Some([high, low, _, _]) => match wide(high, low) {
                // RFC 4303 section 2.1: no packet travels with an SPI of 0.
                0 if headers.protocol == protocol::UDP => Self::Ike,
                spi => Self::Esp { at, end, spi },
            },
            None => Self::EspTruncated,
        }
    }
}
