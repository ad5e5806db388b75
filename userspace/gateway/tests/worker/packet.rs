//! Packets as hosts make them, and the checks that hosts do.

use std::net::IpAddr;

pub const DONT_FRAGMENT: u16 = 0x4000;
pub const MORE: u16 = 0x2000;

/// What makes up a test packet of either family: the source's.
#[derive(Clone, Debug)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Flags and fragment offset of IPv4. Of IPv6 too, in a fragment header, where they say that
    /// it is a fragment.
    pub flags: u16,
    /// IPv4's identification; the low half of IPv6's flow label.
    pub identification: u16,
    /// IPv4 options, in whole words; of IPv6 a destination options header, in whole lines of 8
    /// octets less its first 2.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Packet {
    /// A UDP packet with a TTL of 64.
    pub fn udp(source: impl Into<IpAddr>, destination: impl Into<IpAddr>, data: &[u8]) -> Self {
        let mut payload = vec![0x30, 0x39, 0x00, 0x50];
        payload.extend_from_slice(&((8 + data.len()) as u16).to_be_bytes());
        payload.extend_from_slice(&[0, 0]);
        payload.extend_from_slice(data);
        Self {
            source: source.into(),
            destination: destination.into(),
            protocol: 17,
            ttl: 64,
            flags: 0,
            identification: 0x1234,
            options: Vec::new(),
            payload,
        }
    }

    /// From the IP header on, header checksum right.
    pub fn ip(&self) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.ipv4(source.octets(), destination.octets())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.ipv6(source.octets(), destination.octets())
            }
            mixed => panic!("{mixed:?} are of two families"),
        }
    }

    fn ipv4(&self, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let total = header + self.payload.len();
        let mut bytes = vec![0x40 | (header / 4) as u8, 0];
        bytes.extend_from_slice(&(total as u16).to_be_bytes());
        bytes.extend_from_slice(&self.identification.to_be_bytes());
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        bytes.extend_from_slice(&[self.ttl, self.protocol, 0, 0]);
        bytes.extend_from_slice(&source);
        bytes.extend_from_slice(&destination);
        bytes.extend_from_slice(&self.options);
        let sum = !ones_sum(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    fn ipv6(&self, source: [u8; 16], destination: [u8; 16]) -> Vec<u8> {
        let mut next = self.protocol;
        let mut extensions = Vec::new();
        if self.flags & (MORE | 0x1fff) != 0 {
            let field = self.flags << 3 | u16::from(self.flags & MORE != 0);
            extensions.extend_from_slice(&[next, 0]);
            extensions.extend_from_slice(&field.to_be_bytes());
            extensions.extend_from_slice(&[0, 0]);
            extensions.extend_from_slice(&self.identification.to_be_bytes());
            next = 44;
        }
        if !self.options.is_empty() {
            let length = (2 + self.options.len()) / 8 - 1;
            let header = [&[next, length as u8], &self.options[..]].concat();
            extensions.splice(..0, header);
            next = 60;
        }
        let length = extensions.len() + self.payload.len();
        let mut bytes = vec![0x60, 0];
        bytes.extend_from_slice(&self.identification.to_be_bytes());
        bytes.extend_from_slice(&(length as u16).to_be_bytes());
        bytes.extend_from_slice(&[next, self.ttl]);
        bytes.extend_from_slice(&source);
        bytes.extend_from_slice(&destination);
        bytes.extend_from_slice(&extensions);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// From the Ethernet header on, padded to the shortest frame of 60 octets.
    pub fn frame(&self, mac: [u8; 6]) -> Vec<u8> {
        let mut frame = ethernet(mac, &self.ip());
        let length = frame.len().max(60);
        frame.resize(length, 0xee);
        frame
    }

    /// As it leaves the far side of the tunnel: one hop later.
    pub fn forwarded(&self) -> Vec<u8> {
        let ttl = self.ttl - 1;
        Self {
            ttl,
            ..self.clone()
        }
        .ip()
    }
}

/// The frame that carries this IP packet to `mac`.
pub fn ethernet(mac: [u8; 6], ip: &[u8]) -> Vec<u8> {
    let ethertype: u16 = if ip[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
    let mut frame = mac.to_vec();
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 0x99]);
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(ip);
    frame
}

/// What [`Packet::identification`] was, of a packet from its IP header on.
pub fn identification(ip: &[u8]) -> u16 {
    word(ip, if ip[0] >> 4 == 6 { 2 } else { 4 })
}

/// The one's complement sum of 16-bit words, the slow way: independent of the crate's.
pub fn ones_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u16;
    for pair in bytes.chunks(2) {
        let word = u16::from(pair[0]) * 256 + u16::from(pair.get(1).copied().unwrap_or(0));
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    sum
}

/// The sum over the IPv6 pseudo-header and what stands behind the header, which has no extension
/// headers: 0xffff where the checksum in it is right.
pub fn ones_sum_ipv6(ip: &[u8]) -> u16 {
    let length = (ip.len() as u32 - 40).to_be_bytes();
    ones_sum(&[&ip[8..40], &length, &[0, 0, 0, ip[6]], &ip[40..]].concat())
}

pub fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Puts fragments together, in order of their offsets: the payload. The whole must be there.
pub fn reassemble(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut fragments: Vec<&Vec<u8>> = fragments.iter().collect();
    fragments.sort_by_key(|f| word(f, 6) & 0x1fff);
    let mut payload = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        assert_eq!(ones_sum(&fragment[..20]), 0xffff, "a fragment's checksum");
        assert_eq!(usize::from(word(fragment, 2)), fragment.len());
        let flags = word(fragment, 6);
        assert_eq!(
            usize::from(flags & 0x1fff) * 8,
            payload.len(),
            "a gap or an overlap"
        );
        assert_eq!(flags & MORE != 0, index + 1 < fragments.len());
        payload.extend_from_slice(&fragment[20..]);
    }
    payload
}
