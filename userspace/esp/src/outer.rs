//! The outer header: made ready once per SA, patched per packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::inner::{IPV4_LEN, IPV6_LEN, fold, sum};

/// The UDP port of ESP in UDP (RFC 3948 section 2.1).
pub const NAT_T_PORT: u16 = 4500;

const UDP_LEN: usize = 8;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ESP: u8 = 50;
const DONT_FRAGMENT: u16 = 0x4000;
const ECN: u8 = 0b11;

/// The outer header of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Both ends.
    pub ends: Ends,
    /// What stands between the IP header and ESP.
    pub encapsulation: Encapsulation,
    /// TTL or hop limit of the outer header; not copied from the inner one (RFC 4301 section
    /// 5.1.2.1).
    pub ttl: u8,
    /// Where the outer DSCP comes from.
    pub dscp: Dscp,
    /// Where the outer "don't fragment" comes from. IPv6 has none: nobody fragments it on the way.
    pub dont_fragment: DontFragment,
}

impl Outer {
    /// A tunnel between `ends` that copies DSCP and DF from the inner header.
    pub const fn new(ends: Ends, encapsulation: Encapsulation, ttl: u8) -> Outer {
        Outer {
            ends,
            encapsulation,
            ttl,
            dscp: Dscp::Copy,
            dont_fragment: DontFragment::Copy,
        }
    }
}

/// The outer addresses of a tunnel, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Over IPv4.
    V4 {
        /// Address of this gateway.
        source: Ipv4Addr,
        /// Address of the peer gateway.
        destination: Ipv4Addr,
    },
    /// Over IPv6.
    V6 {
        /// Address of this gateway.
        source: Ipv6Addr,
        /// Address of the peer gateway.
        destination: Ipv6Addr,
    },
}

impl Ends {
    /// The ends of a tunnel.
    ///
    /// # Errors
    /// [`MixedFamilies`] if one address is IPv4 and the other IPv6.
    pub fn new(source: IpAddr, destination: IpAddr) -> Result<Ends, MixedFamilies> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ok(Ends::V4 {
                source,
                destination,
            }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ok(Ends::V6 {
                source,
                destination,
            }),
            (near, far) => Err(MixedFamilies { near, far }),
        }
    }
}

/// A tunnel whose ends are of two families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected both ends of a tunnel to be IPv4 or both IPv6, got {near} and {far}")]
pub struct MixedFamilies {
    /// Address of this gateway.
    pub near: IpAddr,
    /// Address of the peer gateway.
    pub far: IpAddr,
}

/// How ESP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// Straight over IP, protocol 50.
    Esp,
    /// In UDP to port 4500 (RFC 3948).
    Udp {
        /// The source port. One per worker, where RFC 3948 would have 4500 or whatever a NAT made
        /// of it: it spreads the far side's receive queues.
        source_port: u16,
    },
}

/// Where the outer DSCP comes from (RFC 4301 section 4.4.2.1). The ECN field is always copied
/// (RFC 6040 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dscp {
    /// From the inner header.
    #[default]
    Copy,
    /// This value, 0 to 63, of which the low six bits count: 0 hides the inner one.
    Set(u8),
}

/// Where the outer DF bit comes from (RFC 4301 section 8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DontFragment {
    /// From the inner header; IPv6 counts as having it.
    #[default]
    Copy,
    /// Always set.
    Set,
    /// Never set: routers on the way may fragment, which the far end drops unless its kernel puts
    /// the packet together first.
    Clear,
}

/// An outer header that lacks only what differs from packet to packet.
pub(crate) struct Template {
    header: [u8; IPV6_LEN + UDP_LEN],
    len: usize,
    /// Length of the IP header.
    ip_len: usize,
    /// One's complement sum of the constant part of an IPv4 header.
    sum: u32,
    /// Outer TOS = inner TOS & `tos_kept` | `tos_set`: no branch on the setting.
    tos_kept: u8,
    tos_set: u8,
    /// Likewise for the flags of IPv4.
    flags_kept: u16,
    flags_set: u16,
}

impl Template {
    pub(crate) fn new(outer: &Outer) -> Template {
        let mut header = [0; IPV6_LEN + UDP_LEN];
        let protocol = match outer.encapsulation {
            Encapsulation::Esp => PROTOCOL_ESP,
            Encapsulation::Udp { .. } => PROTOCOL_UDP,
        };
        let ip_len = match outer.ends {
            Ends::V4 {
                source,
                destination,
            } => {
                header[0] = 0x45;
                header[8] = outer.ttl;
                header[9] = protocol;
                header[12..16].copy_from_slice(&source.octets());
                header[16..20].copy_from_slice(&destination.octets());
                IPV4_LEN
            }
            Ends::V6 {
                source,
                destination,
            } => {
                header[0] = 0x60;
                header[6] = protocol;
                header[7] = outer.ttl;
                header[8..24].copy_from_slice(&source.octets());
                header[24..40].copy_from_slice(&destination.octets());
                IPV6_LEN
            }
        };
        let len = match outer.encapsulation {
            Encapsulation::Esp => ip_len,
            Encapsulation::Udp { source_port } => {
                header[ip_len..ip_len + 2].copy_from_slice(&source_port.to_be_bytes());
                header[ip_len + 2..ip_len + 4].copy_from_slice(&NAT_T_PORT.to_be_bytes());
                ip_len + UDP_LEN
            }
        };
        let (tos_kept, tos_set) = match outer.dscp {
            Dscp::Copy => (u8::MAX, 0),
            Dscp::Set(dscp) => (ECN, dscp << 2),
        };
        let (flags_kept, flags_set) = match outer.dont_fragment {
            DontFragment::Copy => (DONT_FRAGMENT, 0),
            DontFragment::Set => (0, DONT_FRAGMENT),
            DontFragment::Clear => (0, 0),
        };
        Template {
            header,
            len,
            ip_len,
            sum: sum(&header[..IPV4_LEN]),
            tos_kept,
            tos_set,
            flags_kept,
            flags_set,
        }
    }

    /// Length in bytes of what comes before the ESP header.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes the header of a packet of `total_len` bytes into `out`, which is [`Template::len`]
    /// bytes long. The ECN field is the inner one (RFC 6040 section 4.1), DSCP and DF are as the SA
    /// has them. The UDP checksum stays 0: RFC 3948 section 2.1 for IPv4, RFC 6935 section 5 for
    /// IPv6, where the ICV guards what a checksum would.
    #[inline]
    pub(crate) fn write(
        &self,
        out: &mut [u8],
        total_len: u16,
        identification: u16,
        inner_tos: u8,
        dont_fragment: bool,
    ) {
        let tos = inner_tos & self.tos_kept | self.tos_set;
        if self.ip_len == IPV6_LEN {
            return self.write_ipv6(out, total_len, tos);
        }
        let inner_flags = if dont_fragment { DONT_FRAGMENT } else { 0 };
        let flags = inner_flags & self.flags_kept | self.flags_set;
        let changed = [u16::from(tos), total_len, identification, flags];
        let checksum = !fold(self.sum + changed.map(u32::from).iter().sum::<u32>());
        // Copies of fixed length, which are a few moves; one of a length that is known only here
        // would be a call.
        const WHOLE: usize = IPV4_LEN + UDP_LEN;
        match out.first_chunk_mut::<WHOLE>() {
            Some(whole) => whole.copy_from_slice(&self.header[..WHOLE]),
            None => out.copy_from_slice(&self.header[..IPV4_LEN]),
        }
        out[1] = tos;
        out[2..4].copy_from_slice(&total_len.to_be_bytes());
        out[4..6].copy_from_slice(&identification.to_be_bytes());
        out[6..8].copy_from_slice(&flags.to_be_bytes());
        out[10..12].copy_from_slice(&checksum.to_be_bytes());
        if self.len > IPV4_LEN {
            let udp_len = total_len - IPV4_LEN as u16;
            out[24..26].copy_from_slice(&udp_len.to_be_bytes());
        }
    }

    /// The flow label stays 0 (RFC 6437 section 3): one that told SAs apart would let a rekey take
    /// another path and overtake what is under way.
    #[inline]
    fn write_ipv6(&self, out: &mut [u8], total_len: u16, tos: u8) {
        match out.first_chunk_mut() {
            Some(whole) => *whole = self.header,
            None => out.copy_from_slice(&self.header[..IPV6_LEN]),
        }
        let payload = (total_len - IPV6_LEN as u16).to_be_bytes();
        out[0] |= tos >> 4;
        out[1] = tos << 4;
        out[4..6].copy_from_slice(&payload);
        if self.len > IPV6_LEN {
            out[44..46].copy_from_slice(&payload);
        }
    }
}
