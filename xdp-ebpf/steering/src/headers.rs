//! What a packet is: Ethernet, then IPv4 or IPv6, as far as steering needs them.

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

/// Octets of a VLAN tag: its type and its control information.
pub const TAG: usize = 4;
/// How many VLAN tags are looked behind: a provider's and a customer's, IEEE 802.1ad.
pub const MAX_TAGS: usize = 2;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
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
    /// DCCP, RFC 4340.
    pub const DCCP: u8 = 33;
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
    /// UDP-Lite, RFC 3828.
    pub const UDP_LITE: u8 = 136;

    /// Whether source and destination port are the first of the protocol's header.
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
    /// The type of what is carried, behind at most [`MAX_TAGS`] tags; one tag more shows as its own type.
    pub ethertype: u16,
    /// Where what is carried starts, in octets from the start of the packet.
    pub l3: usize,
}

impl Ethernet {
    /// Reads the header; `None` where the packet ends within it or within a tag.
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

/// Whether an EtherType is that of a VLAN tag: 802.1Q's, 802.1ad's, or the one of older QinQ switches.
#[inline(always)]
pub const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

/// A packet that its own header does not describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The IPv4 or IPv6 header of a packet, with the extension headers of the latter; host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Where the IP header starts, in octets from the start of the packet.
    pub l3: usize,
    /// Where the payload starts: behind options, and behind extension headers.
    pub l4: usize,
    /// Total length of the IP packet in octets, headers included.
    pub total: usize,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Protocol of the payload. In a fragment of IPv6 it is what the fragment header names, which
    /// may be one more extension header: only the first fragment could say what follows that.
    pub protocol: u8,
    /// Whether this is a fragment: the first, a later or the last.
    pub fragment: bool,
    /// Whether routers may not fragment it: "don't fragment" is set, or it is IPv6.
    pub dont_fragment: bool,
}

impl Headers {
    /// Reads the IP header that starts at the even offset `l3`, of the version that it names.
    ///
    /// # Errors
    /// `Malformed` where the version is neither 4 nor 6, or as [`Headers::ipv4`] and
    /// [`Headers::ipv6`] say.
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
    /// `Malformed` where the version is not 4, the header is shorter than 20 octets, or the
    /// packet ends before its header or its total length does.
    #[inline(always)]
    pub fn ipv4<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        Self::quoted_ipv4(packet, l3)?.within(packet)
    }

    /// Reads the IPv6 header that starts at the even offset `l3`, and its extension headers.
    ///
    /// # Errors
    /// `Malformed` where the version is not 6, an address is IPv4-mapped, or the packet ends before
    /// its headers or its payload length does.
    #[inline(always)]
    pub fn ipv6<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        ipv6::parse(packet, l3, packet.length())?.within(packet)
    }

    /// Reads the IP header, of the version that it names, that an ICMP error quotes at the even
    /// offset `l3`: the packet behind it is cut off, so its total length is not held against what
    /// is there.
    ///
    /// # Errors
    /// `Malformed` where the header makes no sense, or is cut itself.
    #[inline(always)]
    pub fn quoted<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
        match packet.words(l3) {
            Some([w0]) if w0 >> 12 == 6 => ipv6::parse(packet, l3, packet.length()),
            _ => Self::quoted_ipv4(packet, l3),
        }
    }

    /// Whether this is the header of IPv4.
    #[inline(always)]
    pub const fn is_ipv4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// Whether a fragment is the first, which starts with the payload's own header.
    #[inline(always)]
    pub fn first_fragment<B: Bytes + ?Sized>(&self, packet: &B) -> bool {
        // The offset, in IPv6 that of the fragment header, which is the last in front of the payload.
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

    /// Reads an IPv4 header that an ICMP error quotes: the packet behind it is cut off, so its
    /// total length is not held against what is there.
    #[inline(always)]
    pub(crate) fn quoted_ipv4<B: Bytes + ?Sized>(packet: &B, l3: usize) -> Result<Self, Malformed> {
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
            source: Address::v4(wide(s0, s1)),
            destination: Address::v4(wide(d0, d1)),
            protocol: ttl as u8,
            fragment: fragment & 0x3fff != 0,
            dont_fragment: fragment & 0x4000 != 0,
        })
    }
}
