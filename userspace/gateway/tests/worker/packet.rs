//! Packets as hosts send them, and the checks that hosts make.

use std::net::IpAddr;

pub const DONT_FRAGMENT: u16 = 0x4000;
pub const MORE: u16 = 0x2000;

/// A test packet. The family of its addresses selects IPv4 or IPv6.
#[derive(Clone, Debug)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Flags and fragment offset of IPv4. An IPv6 packet gets a fragment header if they describe a fragment.
    pub flags: u16,
    /// The identification of IPv4, or the low half of the flow label of IPv6.
    pub identification: u16,
    /// IPv4 options, whose length is a multiple of 4. For IPv6, the content of a destination options header, whose length
    /// with the 2 bytes of the header is a multiple of 8.
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

    /// The UDP packet with this destination port.
    pub fn with_port(mut self, port: u16) -> Self {
        self.payload[2..4].copy_from_slice(&port.to_be_bytes());
        self
    }

    /// With this UDP port at both ends.
    pub fn with_ports(mut self, port: u16) -> Self {
        self.payload[..2].copy_from_slice(&port.to_be_bytes());
        self.with_port(port)
    }

    /// The packet from its IP header on, with a correct header checksum.
    pub fn ip(&self) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.ipv4(source.octets(), destination.octets())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.ipv6(source.octets(), destination.octets())
            }
            mixed => panic!("{mixed:?} are of different families"),
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

    /// The frame for this destination, padded to the minimum of 60 bytes.
    pub fn frame(&self, mac: [u8; 6]) -> Vec<u8> {
        let mut frame = ethernet(mac, &self.ip());
        let length = frame.len().max(60);
        frame.resize(length, 0xee);
        frame
    }

    /// The packet after the tunnel: with its TTL decremented once.
    pub fn forwarded(&self) -> Vec<u8> {
        let ttl = self.ttl - 1;
        Self {
            ttl,
            ..self.clone()
        }
        .ip()
    }
}

/// The IPv4 packet of an ICMP error, with a correct checksum. The checksum in `message` is zero.
pub fn icmp_error(mut message: Vec<u8>) -> Vec<u8> {
    let sum = !ones_sum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Packet {
        protocol: 1,
        payload: message,
        ..Packet::udp([192, 0, 2, 1], [10, 1, 0, 101], &[])
    }
    .ip()
}

/// An IP packet in a frame for the destination `mac`.
pub fn ethernet(mac: [u8; 6], ip: &[u8]) -> Vec<u8> {
    let ethertype: u16 = if ip[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
    let mut frame = mac.to_vec();
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 0x99]);
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(ip);
    frame
}

/// Reads [`Packet::identification`] from a packet that starts with its IP header.
pub fn identification(ip: &[u8]) -> u16 {
    word(ip, if ip[0] >> 4 == 6 { 2 } else { 4 })
}

/// The ones' complement sum of 16-bit words, computed independently of the tested code.
pub fn ones_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u16;
    for pair in bytes.chunks(2) {
        let word = u16::from(pair[0]) * 256 + u16::from(pair.get(1).copied().unwrap_or(0));
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    sum
}

/// The ones' complement sum of IPv6 pseudo-header and payload of a packet without extension headers. It is 0xffff if the
/// packet's checksum is right.
pub fn ones_sum_ipv6(ip: &[u8]) -> u16 {
    let length = (ip.len() as u32 - 40).to_be_bytes();
    ones_sum(&[&ip[8..40], &length, &[0, 0, 0, ip[6]], &ip[40..]].concat())
}

pub fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Reassembles the payload of a complete set of fragments.
pub fn reassemble(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut fragments: Vec<&Vec<u8>> = fragments.iter().collect();
    fragments.sort_by_key(|f| word(f, 6) & 0x1fff);
    let mut payload = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        assert_eq!(
            ones_sum(&fragment[..20]),
            0xffff,
            "the fragment's header checksum"
        );
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
