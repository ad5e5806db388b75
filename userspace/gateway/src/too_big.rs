//! Reports of the path that an ESP packet was too big for it: ICMP "fragmentation needed" (RFC 1191
//! section 4) and ICMPv6 "packet too big" (RFC 4443 section 3.2).

use std::net::IpAddr;

use causeway_steering::Headers;
use causeway_steering::headers::{PORT_NAT_T, UDP, protocol};

use crate::checksum::checksum;

/// Octets of an ICMP header.
const ICMP: usize = 8;
/// ICMP: destination unreachable, fragmentation needed and DF set.
const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];
/// ICMPv6: packet too big. Its code says nothing.
const PACKET_TOO_BIG: u8 = 2;

/// What a router says about an ESP packet that it quotes. Nobody signs it: only the worker, which
/// knows what it sent, can tell whether to believe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// The outer source address of the quoted packet.
    pub source: IpAddr,
    /// Its outer destination address.
    pub destination: IpAddr,
    /// Its SPI.
    pub spi: u32,
    /// The low 32 bits of its sequence number.
    pub sequence: u32,
    /// The largest outer packet that goes on from there, in octets.
    pub mtu: usize,
}

impl TooBig {
    /// Reads an IPv4 packet, from its header on. `None` for everything but a whole, sound report
    /// that quotes ESP up to its sequence number.
    ///
    /// A quote of no more than the eight octets that RFC 792 asks for ends in front of the SPI if
    /// ESP travels in UDP. What is left, addresses and ports, anybody can guess, so it is not
    /// enough; RFC 1812 section 4.3.2.3 has routers quote up to 576 octets in all.
    pub fn ipv4(packet: &[u8]) -> Option<Self> {
        let headers = Headers::ipv4(packet, 0).ok()?;
        if headers.protocol != protocol::ICMP || headers.fragment {
            return None;
        }
        let message = packet.get(headers.l4..headers.total)?;
        // A raw socket gets the packet before the kernel looks at the checksum.
        if message.get(..2)? != FRAGMENTATION_NEEDED || checksum(message) != 0 {
            return None;
        }
        Self::quoted(message, word(message, 6)?.into())
    }

    /// Reads an ICMPv6 message. As a raw socket gives it, without the IPv6 header and with a
    /// checksum that the kernel has found right. `None` as for [`TooBig::ipv4`].
    pub fn icmpv6(message: &[u8]) -> Option<Self> {
        if *message.first()? != PACKET_TOO_BIG {
            return None;
        }
        Self::quoted(message, long(message, 4)? as usize)
    }

    /// Reads the ESP packet that the message quotes.
    fn quoted(message: &[u8], mtu: usize) -> Option<Self> {
        let quote = Headers::quoted(message, ICMP).ok()?;
        if quote.fragment {
            return None;
        }
        let esp = match quote.protocol {
            protocol::ESP => quote.l4,
            protocol::UDP if word(message, quote.l4 + 2)? == PORT_NAT_T => quote.l4 + UDP,
            _ => return None,
        };
        Some(Self {
            source: quote.source.into(),
            destination: quote.destination.into(),
            spi: long(message, esp)?,
            sequence: long(message, esp + 4)?,
            mtu,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
