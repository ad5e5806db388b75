//! Every kind of tunnel, and the packets that go through it.

use std::net::{Ipv4Addr, Ipv6Addr};

use causeway_esp::{
    Cipher, Encapsulation, Ends, InboundConfig, InboundSa, Key, OutboundConfig, OutboundSa, Outer,
    Sequence, Spi, TAIL_ROOM,
};

/// IP version of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub fn header_len(self) -> usize {
        match self {
            Family::V4 => 20,
            Family::V6 => 40,
        }
    }

    /// As a next header of ESP.
    pub fn next_header(self) -> u8 {
        match self {
            Family::V4 => 4,
            Family::V6 => 41,
        }
    }
}

/// One kind of tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Tunnel {
    pub cipher: Cipher,
    pub outer: Family,
    pub inner: Family,
    pub esn: bool,
    pub udp: bool,
}

impl Tunnel {
    /// Every kind with this cipher, sixteen of them.
    pub fn every(cipher: Cipher) -> impl Iterator<Item = Tunnel> {
        (0..16).map(move |kind| Tunnel {
            cipher,
            outer: Family::BOTH[kind & 1],
            inner: Family::BOTH[kind >> 1 & 1],
            esn: kind & 4 != 0,
            udp: kind & 8 != 0,
        })
    }

    /// An SPI that no other kind has.
    pub fn spi(&self) -> Spi {
        let bits = [
            self.outer == Family::V6,
            self.inner == Family::V6,
            self.esn,
            self.udp,
        ];
        let kind = bits.iter().fold(0, |kind, &bit| kind << 1 | u32::from(bit));
        Spi::new(0x0001_0000 | (self.cipher as u32) << 8 | kind).unwrap()
    }

    /// Key and salt.
    pub fn material(&self) -> Vec<u8> {
        (0..self.cipher.key_len())
            .map(|i| (i * 13 + 7) as u8)
            .collect()
    }

    fn key(&self) -> Key {
        Key::new(self.cipher, &self.material()).unwrap()
    }

    /// A receiver that has seen nothing.
    pub fn receiver(&self) -> InboundSa {
        InboundSa::new(InboundConfig {
            esn: self.esn,
            ..InboundConfig::new(self.spi(), self.key(), 4096)
        })
        .unwrap()
    }

    /// The outer packet around `inner` with this sequence number.
    pub fn seal(&self, inner: &[u8], number: u64) -> Vec<u8> {
        let ends = match self.outer {
            Family::V4 => Ends::V4 {
                source: Ipv4Addr::new(10, 1, 0, 101),
                destination: Ipv4Addr::new(10, 2, 0, 102),
            },
            Family::V6 => Ends::V6 {
                source: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x101),
                destination: Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x102),
            },
        };
        let encapsulation = match self.udp {
            true => Encapsulation::Udp { source_port: 4511 },
            false => Encapsulation::Esp,
        };
        let mut sequence = Sequence::new(number);
        sequence.reserve_until(number + 1);
        let outer = Outer::new(ends, encapsulation, 64);
        let mut sender = OutboundSa::new(OutboundConfig {
            esn: self.esn,
            ..OutboundConfig::new(self.spi(), self.key(), outer, sequence)
        });
        let mut frame = inner.to_vec();
        frame.resize(inner.len() + TAIL_ROOM, 0);
        let mut sealed = vec![0; inner.len() + sender.overhead(inner.len())];
        let len = sender.seal(&mut frame, inner.len(), &mut sealed).unwrap();
        assert_eq!(len, sealed.len());
        sealed
    }

    /// A UDP packet of the inner family, from its IP header on, with right checksums, so that nobody who
    /// takes it apart and puts it together has anything to change.
    pub fn inner_packet(&self, body: usize) -> Vec<u8> {
        let udp_len = (8 + body as u16).to_be_bytes();
        let mut packet = match self.inner {
            Family::V4 => vec![
                0x45, 0xb8, 0, 0, 0x12, 0x34, 0x40, 0, 63, 17, 0, 0, 10, 1, 0, 10, 10, 2, 0, 20,
            ],
            Family::V6 => {
                let addresses = [
                    [0xfd00, 1, 0, 0, 0, 0, 0, 0x10],
                    [0xfd00, 2, 0, 0, 0, 0, 0, 0x20],
                ];
                let header = [0x6b, 0x8a, 0xbc, 0xde, udp_len[0], udp_len[1], 17, 63];
                let octets = addresses.map(|address| Ipv6Addr::from(address).octets());
                [&header[..], &octets.concat()].concat()
            }
        };
        packet.extend([0x30, 0x39, 0x27, 0x0f, udp_len[0], udp_len[1], 0, 0]);
        packet.extend((0..body).map(|i| (i * 31) as u8));
        match self.inner {
            Family::V4 => {
                let len = packet.len() as u16;
                packet[2..4].copy_from_slice(&len.to_be_bytes());
                let checksum = checksum(&packet[..20]);
                packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
            Family::V6 => {
                // Without a checksum UDP over IPv6 is malformed; its pseudo header holds what the
                // IP header does.
                let pseudo = [&packet[8..40], &[0, 0], &udp_len, &[0, 17]].concat();
                let checksum = checksum(&[&pseudo[..], &packet[40..]].concat());
                packet[46..48].copy_from_slice(&checksum.to_be_bytes());
            }
        }
        packet
    }
}

fn checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 = octets
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The way in which both programs are told octets.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
