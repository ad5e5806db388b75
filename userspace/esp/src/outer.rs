//! The outer header: made ready once per SA, patched per packet.

use std::net::Ipv4Addr;

use crate::ipv4::{HEADER_LEN, fold, sum};

/// The UDP port of ESP in UDP (RFC 3948 section 2.1).
pub const NAT_T_PORT: u16 = 4500;

const UDP_LEN: usize = 8;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ESP: u8 = 50;
const DONT_FRAGMENT: u16 = 0x4000;

/// The outer addresses and encapsulation of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Address of this gateway.
    pub source: Ipv4Addr,
    /// Address of the peer gateway.
    pub destination: Ipv4Addr,
    /// What stands between the IP header and ESP.
    pub encapsulation: Encapsulation,
    /// Hop limit of the outer header; not copied from the inner one (RFC 4301 section 5.1.2.1).
    pub ttl: u8,
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

/// An outer header that lacks only what differs from packet to packet.
pub(crate) struct Template {
    header: [u8; HEADER_LEN + UDP_LEN],
    len: usize,
    /// One's complement sum of the constant part of the IP header.
    sum: u32,
}

impl Template {
    pub(crate) fn new(outer: &Outer) -> Template {
        let mut header = [0; HEADER_LEN + UDP_LEN];
        header[0] = 0x45;
        header[8] = outer.ttl;
        header[12..16].copy_from_slice(&outer.source.octets());
        header[16..20].copy_from_slice(&outer.destination.octets());
        let len = match outer.encapsulation {
            Encapsulation::Esp => {
                header[9] = PROTOCOL_ESP;
                HEADER_LEN
            }
            Encapsulation::Udp { source_port } => {
                header[9] = PROTOCOL_UDP;
                header[20..22].copy_from_slice(&source_port.to_be_bytes());
                header[22..24].copy_from_slice(&NAT_T_PORT.to_be_bytes());
                HEADER_LEN + UDP_LEN
            }
        };
        let sum = sum(&header[..HEADER_LEN]);
        Template { header, len, sum }
    }

    /// Length in bytes of what comes before the ESP header.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes the header of a packet of `total_len` bytes into `out`, which is [`Template::len`]
    /// bytes long. DSCP, ECN and DF are copied from the inner header (RFC 6040 section 4.1,
    /// RFC 4301 section 8.1). The UDP checksum stays 0 (RFC 3948 section 2.1).
    #[inline]
    pub(crate) fn write(
        &self,
        out: &mut [u8],
        total_len: u16,
        identification: u16,
        tos: u8,
        dont_fragment: bool,
    ) {
        let fragment = if dont_fragment { DONT_FRAGMENT } else { 0 };
        let changed = [u16::from(tos), total_len, identification, fragment];
        let checksum = !fold(self.sum + changed.map(u32::from).iter().sum::<u32>());
        // Copies of fixed length, which are a few moves; one of a length that is known only here
        // would be a call.
        match out.first_chunk_mut() {
            Some(whole) => *whole = self.header,
            None => out.copy_from_slice(&self.header[..HEADER_LEN]),
        }
        out[1] = tos;
        out[2..4].copy_from_slice(&total_len.to_be_bytes());
        out[4..6].copy_from_slice(&identification.to_be_bytes());
        out[6..8].copy_from_slice(&fragment.to_be_bytes());
        out[10..12].copy_from_slice(&checksum.to_be_bytes());
        if self.len > HEADER_LEN {
            let udp_len = total_len - HEADER_LEN as u16;
            out[24..26].copy_from_slice(&udp_len.to_be_bytes());
        }
    }
}
