//! Classifies packets for this host: ESP, IKE, NAT keepalive or other.

use crate::bytes::{Bytes, wide};
use crate::headers::{Headers, PORT_NAT_T, UDP, protocol};

/// Octets of the ESP header: SPI and sequence number, RFC 4303 section 2.
const ESP: usize = 8;

/// The kind of a packet whose destination is an address of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// ESP, either directly in IP or in UDP.
    Esp {
        /// Octets from the start of the packet to the SPI.
        at: usize,
        /// Octets from the start of the packet to the end of the ESP packet.
        end: usize,
        /// The security parameters index.
        spi: u32,
    },
    /// A fragment of an ESP packet, RFC 4303 section 3.4.1.
    EspFragment,
    /// A packet too short for its UDP length or its ESP header.
    EspTruncated,
    /// IKE on UDP port 4500: the payload starts with four zero octets, RFC 3948 section 2.2.
    Ike,
    /// A NAT keepalive: the payload is one octet 0xFF, RFC 3948 section 2.3.
    Keepalive,
    /// Anything else.
    Other,
}

impl Inbound {
    /// Classifies the packet with these `headers`.
    ///
    /// The innermost header with a length decides where the ESP packet ends. The ICV does not cover
    /// octets behind it, such as Ethernet padding or octets behind a UDP datagram.
    #[inline(always)]
    pub fn of<B: Bytes + ?Sized>(packet: &B, headers: &Headers) -> Self {
        let (at, end) = match headers.protocol {
            protocol::ESP if headers.fragment => return Self::EspFragment,
            protocol::ESP => (headers.l4, headers.l3 + headers.total),
            // A later fragment has no ports, and only the kernel reassembles.
            protocol::UDP if !headers.fragment => match packet.words::<4>(headers.l4) {
                Some([_, PORT_NAT_T, length, _]) => {
                    let length = length as usize;
                    // The length alone identifies a keepalive: no other datagram on this port has
                    // one octet. `Bytes` cannot read a single octet.
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
                // RFC 4303 section 2.1: no packet on the wire has an SPI of 0.
                0 if headers.protocol == protocol::UDP => Self::Ike,
                spi => Self::Esp { at, end, spi },
            },
            None => Self::EspTruncated,
        }
    }
}
