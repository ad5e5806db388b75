//! ICMP reports that an ESP packet was too big for its path: "fragmentation needed" (RFC 1191 section 4) and ICMPv6 "packet
//! too big" (RFC 4443 section 3.2).

use std::net::IpAddr;

use causeway_steering::Headers;
use causeway_steering::headers::{PORT_NAT_T, UDP, protocol};

use crate::checksum::checksum;

/// Octets of an ICMP header.
const ICMP: usize = 8;
/// ICMP: destination unreachable, fragmentation needed and DF set.
const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];
/// ICMPv6: packet too big. The code has no meaning.
const PACKET_TOO_BIG: u8 = 2;

/// A router's report about an ESP packet that it quotes. Reports are not authenticated; the worker compares them with the
/// packets that it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// The outer source address of the quoted packet.
    pub source: IpAddr,
    /// The outer destination address of the quoted packet.
    pub destination: IpAddr,
    /// The SPI of the quoted packet.
    pub spi: u32,
    /// The low 32 bits of the quoted packet's sequence number.
    pub sequence: u32,
    /// The MTU of the reporting router's next link, in octets.
    pub mtu: usize,
}

impl TooBig {
    /// Parses an IPv4 packet, from its header on. `None` unless it is a complete, valid report that quotes ESP up to the
    /// sequence number.
    ///
    /// A quote of only the eight octets that RFC 792 requires ends before the SPI if ESP is encapsulated in UDP. Addresses
    /// and ports alone can be guessed, so such a report is ignored. RFC 1812 section 4.3.2.3 has routers quote up to 576
    /// octets in all.
    pub fn ipv4(packet: &[u8]) -> Option<Self> {
        let headers = Headers::ipv4(packet, 0).ok()?;
        if headers.protocol != protocol::ICMP || headers.fragment {
            return None;
        }
        let message = packet.get(headers.l4..headers.total)?;
        // A raw socket receives the packet before the kernel verifies the checksum.
        if message.get(..2)? != FRAGMENTATION_NEEDED || checksum(message) != 0 {
            return None;
        }
        Self::quoted(message, word(message, 6)?.into())
    }

    /// Parses an ICMPv6 message from a raw socket: without the IPv6 header, its checksum verified by the kernel. `None` as
    /// for [`TooBig::ipv4`].
    pub fn icmpv6(message: &[u8]) -> Option<Self> {
        if *message.first()? != PACKET_TOO_BIG {
            return None;
        }
        Self::quoted(message, long(message, 4)? as usize)
    }

    /// Parses the ESP packet that the message quotes.
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
