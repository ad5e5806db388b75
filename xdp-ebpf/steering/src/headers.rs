//! What a packet is: Ethernet, then IPv4, as far as steering needs them.

use crate::bytes::{Bytes, wide};

/// Octets of an Ethernet header without tags.
pub const ETHERNET: usize = 14;
/// Octets of an IPv4 header without options.
pub const IPV4: usize = 20;
/// Octets of a UDP header.
pub const UDP: usize = 8;
/// Octets of SPI and sequence number, RFC 4303 section 2.
const ESP: usize = 8;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;

/// Protocol numbers that steering tells apart.
pub mod protocol {
    /// ICMP, RFC 792.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ESP, RFC 4303.
    pub const ESP: u8 = 50;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// The port of UDP-encapsulated ESP, RFC 3948.
pub const PORT_NAT_T: u16 = 4500;

/// The Ethernet header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination MAC address.
    pub destination: [u16; 3],
    /// EtherType; a VLAN tag shows here as its own type.
    pub ethertype: u16,
}

impl Ethernet {
    /// Reads the header; `None` where the packet is shorter than 14 octets.
    #[inline(always)]
    pub fn parse<B: Bytes + ?Sized>(packet: &B) -> Option<Self> {
        let [a, b, c, _, _, _, ethertype] = packet.words::<7>(0)?;
        Some(Self {
            destination: [a, b, c],
            ethertype,
        })
    }
}

/// An IPv4 packet that its own header does not describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The IPv4 header of a packet, host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Where the IPv4 header starts, in octets from the start of the packet.
    pub l3: usize,
    /// Where the payload of IPv4 starts.
    pub l4: usize,
    /// Total length of the IPv4 packet in octets, header included.
    pub total: usize,
    /// Source address.
    pub source: u32,
    /// Destination address.
    pub destination: u32,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Whether this is a fragment: the first, a later or the last.
    pub fragment: bool,
    /// Whether "don't fragment" is set.
    pub dont_fragment: bool,
}

impl Headers {
    /// Reads the IPv4 header that starts at the even offset `l3`.
    ///
    /// # Errors
    /// `Malformed` where the version is not 4, the header is shorter than 20 octets, or the
    /// packet ends before its header or its total length does.
    #[inline(always)]
    pub fn parse<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        let headers = Self::parse_quoted(packet, l3)?;
        if headers.l3 + headers.total > packet.length() {
            return Err(Malformed);
        }
        Ok(headers)
    }

    /// Reads an IPv4 header that an ICMP error quotes: the packet behind it is cut off, so its
    /// total length is not held against what is there.
    ///
    /// # Errors
    /// `Malformed` where the version is not 4, or the header is shorter than 20 octets or cut.
    #[inline(always)]
    pub fn parse_quoted<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        let [w0, total, _, fragment, ttl, _, s0, s1, d0, d1] =
            packet.words::<10>(l3).ok_or(Malformed)?;
        // The mask tells the verifier that the header ends within 60 octets.
        let length = ((w0 >> 6) & 0x3c) as usize;
        if w0 >> 12 != 4 || length < IPV4 || (total as usize) < length {
            return Err(Malformed);
        }
        Ok(Self {
            l3,
            l4: l3 + length,
            total: total as usize,
            source: wide(s0, s1),
            destination: wide(d0, d1),
            protocol: ttl as u8,
            fragment: fragment & 0x3fff != 0,
            dont_fragment: fragment & 0x4000 != 0,
        })
    }
}

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
