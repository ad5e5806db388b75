//! Parses the headers that steering needs: Ethernet with VLAN tags, then IPv4 or IPv6.

use crate::address::Address;
use crate::bytes::{Bytes, wide};
use crate::ipv6;

/// Octets of an Ethernet header without tags.
pub const ETHERNET: usize = 14;
/// Octets of an IPv4 header without options.
pub const IPV4: usize = 20;
/// Octets of a UDP header.
pub const UDP: usize = 8;
/// Octets of an IPv6 header without extension headers.
pub const IPV6: usize = 40;

/// Octets of a VLAN tag: type and control information.
pub const TAG: usize = 4;
/// The most VLAN tags that the parser skips: a provider's and a customer's, IEEE 802.1ad.
pub const MAX_TAGS: usize = 2;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;

/// The IP protocol numbers that steering distinguishes.
pub mod protocol {
    /// ICMP, RFC 792.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ESP, RFC 4303.
    pub const ESP: u8 = 50;
    /// DCCP, RFC 4340.
    pub const DCCP: u8 = 33;
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// UDP-Lite, RFC 3828.
    pub const UDP_LITE: u8 = 136;

    /// Whether the protocol's header starts with source port and destination port.
    #[inline(always)]
    pub const fn has_ports(protocol: u8) -> bool {
        matches!(protocol, TCP | UDP | DCCP | SCTP | UDP_LITE)
    }
}

/// The port of UDP-encapsulated ESP, RFC 3948.
pub const PORT_NAT_T: u16 = 4500;

/// The Ethernet header of a packet, with its VLAN tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination MAC address.
    pub destination: [u16; 3],
    /// The EtherType behind the VLAN tags. With more than [`MAX_TAGS`] tags it is the type of the
    /// first tag that was not skipped.
    pub ethertype: u16,
    /// Where the payload starts, in octets from the start of the frame.
    pub l3: usize,
}

impl Ethernet {
    /// Reads the header; `None` if the frame ends within it or within a tag.
    #[inline(always)]
    pub fn parse<B: Bytes + ?Sized>(packet: &B) -> Option<Self> {
        let [a, b, c, _, _, _, mut ethertype] = packet.words::<7>(0)?;
        let mut l3 = ETHERNET;
        for _ in 0..MAX_TAGS {
            if !is_tag(ethertype) {
                break;
            }
            [_, ethertype] = packet.words::<2>(l3)?;
            l3 += TAG;
        }
        Some(Self {
            destination: [a, b, c],
            ethertype,
            l3: packet.opaque(l3),
        })
    }
}

/// Whether an EtherType is that of a VLAN tag: 802.1Q, 802.1ad, or the type of older QinQ switches.
#[inline(always)]
pub const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

/// The headers are invalid or contradict the packet's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The IPv4 header, or the IPv6 header with its extension headers. Fields are in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Where the IP header starts, in octets from the start of the packet.
    pub l3: usize,
    /// Where the payload starts, behind options or extension headers, in octets from the start of
    /// the packet.
    pub l4: usize,
    /// Length of the IP packet in octets, headers included.
    pub total: usize,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Protocol of the payload. For an IPv6 fragment it is the next header of the fragment header.
    /// That may be a further extension header, which only the first fragment contains.
    pub protocol: u8,
    /// Whether the packet is a fragment, including the first and the last.
    pub fragment: bool,
    /// Whether routers may not fragment the packet: DF is set, or the packet is IPv6.
    pub dont_fragment: bool,
}

impl Headers {
    /// Reads the IPv4 or IPv6 header that starts at the even offset `l3`.
    ///
    /// # Errors
    /// `Malformed` if the version is neither 4 nor 6, and as for [`Headers::ipv4`] and
    /// [`Headers::ipv6`].
    #[inline(always)]
    pub fn parse<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        match packet.words(l3) {
            Some([w0]) if w0 >> 12 == 6 => Self::ipv6(packet, l3),
            _ => Self::ipv4(packet, l3),
        }
    }

    /// Reads the IPv4 header that starts at the even offset `l3`.
    ///
    /// # Errors
    /// `Malformed` if the version is not 4, the header is shorter than 20 octets, or the header or
    /// the total length exceeds the packet.
    #[inline(always)]
    pub fn ipv4<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        Self::quoted_ipv4(packet, l3)?.within(packet)
    }

    /// Reads the IPv6 header that starts at the even offset `l3`, and its extension headers.
    ///
    /// # Errors
    /// `Malformed` if the version is not 6, an address is IPv4-mapped, or a header or the payload
    /// length exceeds the packet.
    #[inline(always)]
    pub fn ipv6<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        ipv6::parse(packet, l3, packet.length())?.within(packet)
    }

    /// Reads the IPv4 or IPv6 header that an ICMP error quotes at the even offset `l3`. The quoted
    /// packet is truncated, so its total length may exceed the quote.
    ///
    /// # Errors
    /// `Malformed` if the quoted header is invalid or itself truncated.
    #[inline(always)]
    pub fn quoted<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        match packet.words(l3) {
            Some([w0]) if w0 >> 12 == 6 => ipv6::parse(packet, l3, packet.length()),
            _ => Self::quoted_ipv4(packet, l3),
        }
    }

    /// Whether the packet is IPv4.
    #[inline(always)]
    pub const fn is_ipv4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// Whether the packet is a first fragment, which starts with the payload's own header.
    #[inline(always)]
    pub fn first_fragment<B: Bytes + ?Sized>(&self, packet: &B) -> bool {
        // The word with the fragment offset. In IPv6 it is in the fragment header, which is the last
        // header in front of the payload.
        let (at, offset) = match self.is_ipv4() {
            true => (self.l3 + 6, 0x1fff),
            false => (self.l4 - 6, 0xfff8),
        };
        self.fragment && packet.words(at).is_some_and(|[word]| word & offset == 0)
    }

    #[inline(always)]
    fn within<B: Bytes + ?Sized>(self, packet: &B) -> Result<Self, Malformed> {
        match self.l3 + self.total > packet.length() {
            true => Err(Malformed),
            false => Ok(self),
        }
    }

    /// Reads an IPv4 header that an ICMP error quotes. The quoted packet is truncated, so its total
    /// length may exceed the quote.
    #[inline(always)]
    pub(crate) fn quoted_ipv4<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        let [w0, total, _, fragment, ttl, _, s0, s1, d0, d1] =
            packet.words::<10>(l3).ok_or(Malformed)?;
        // The mask shows the verifier that the header ends within 60 octets.
        let length = ((w0 >> 6) & 0x3c) as usize;
        if w0 >> 12 != 4 || length < IPV4 || (total as usize) < length {
            return Err(Malformed);
        }
        Ok(Self {
            l3,
            l4: l3 + length,
            total: total as usize,
            source: Address::v4(wide(s0, s1)),
            destination: Address::v4(wide(d0, d1)),
            protocol: ttl as u8,
            fragment: fragment & 0x3fff != 0,
            dont_fragment: fragment & 0x4000 != 0,
        })
    }
}
