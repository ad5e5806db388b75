//! The outer header: a template per SA, completed per packet.

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
    /// The outer addresses.
    pub ends: Ends,
    /// ESP directly over IP, or in UDP.
    pub encapsulation: Encapsulation,
    /// TTL or hop limit of the outer header; not copied from the inner one (RFC 4301 section
    /// 5.1.2.1).
    pub ttl: u8,
    /// The source of the outer DSCP.
    pub dscp: Dscp,
    /// The source of the outer DF bit. IPv6 has no such bit, because routers do not fragment it.
    pub dont_fragment: DontFragment,
}

impl Outer {
    /// A header between `ends` that copies DSCP and DF from the inner header.
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

/// The outer addresses of a tunnel, both of one family.
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
    /// Checks that both addresses are of one family.
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

/// The two addresses of a tunnel are of different families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected both ends of a tunnel to be IPv4 or both IPv6, got {near} and {far}")]
pub struct MixedFamilies {
    /// Address of this gateway.
    pub near: IpAddr,
    /// Address of the peer gateway.
    pub far: IpAddr,
}

/// The encapsulation of ESP packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// Directly over IP, protocol 50.
    Esp,
    /// In UDP to port 4500 (RFC 3948).
    Udp {
        /// The source port, one per worker. RFC 3948 uses 4500 or a port that a NAT chose. A port per worker
        /// spreads the packets over the peer's receive queues.
        source_port: u16,
    },
}

/// The source of the outer DSCP (RFC 4301 section 4.4.2.1). The ECN field is always copied
/// (RFC 6040 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dscp {
    /// Copied from the inner header.
    #[default]
    Copy,
    /// A fixed value, 0 to 63. It hides the inner DSCP. Only the low six bits are used.
    Set(u8),
}

/// The source of the outer DF bit (RFC 4301 section 8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DontFragment {
    /// Copied from the inner header. An inner IPv6 packet counts as DF.
    #[default]
    Copy,
    /// Always set.
    Set,
    /// Never set: routers may fragment the packet. The peer drops fragments unless its kernel reassembles
    /// them first.
    Clear,
}

/// An outer header without the fields that differ from packet to packet.
pub(crate) struct Template {
    header: [u8; IPV6_LEN + UDP_LEN],
    len: usize,
    /// Length of the IP header.
    ip_len: usize,
    /// One's complement sum of the constant part of an IPv4 header.
    sum: u32,
    /// Outer TOS = inner TOS & `tos_kept` | `tos_set`, without a branch on the setting.
    tos_kept: u8,
    tos_set: u8,
    /// The same for the flags of IPv4.
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

    /// Length in bytes of the headers before the ESP header.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes the header of a packet of `total_len` bytes into `out`, which is [`Template::len`] bytes long.
    ///
    /// The ECN field is copied from the inner header (RFC 6040 section 4.1). DSCP and DF follow the SA's
    /// settings. The UDP checksum is 0: RFC 3948 section 2.1 for IPv4, RFC 6935 section 5 for IPv6, since
    /// the ICV protects the payload.
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
        // Copies of constant length compile to a few moves; a copy of variable length is a call.
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

    /// The flow label is 0 (RFC 6437 section 3). With a label per SA, packets after a rekey could take
    /// another path and overtake packets in flight.
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
