//! Every kind of tunnel, and its inner packets.

use std::net::{Ipv4Addr, Ipv6Addr};

use causeway_esp::{
    Cipher, Encapsulation, Ends, InboundConfig, InboundSa, Key, OutboundConfig, OutboundSa, Outer,
    Sequence, Spi, TAIL_ROOM,
};
use etherparse::{
    IpDscp, IpHeaders, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6Header, PacketBuilder,
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

    /// The next header in the ESP trailer.
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
    /// All sixteen kinds with this cipher.
    pub fn every(cipher: Cipher) -> impl Iterator<Item = Tunnel> {
        (0..16).map(move |kind| Tunnel {
            cipher,
            outer: Family::BOTH[kind & 1],
            inner: Family::BOTH[kind >> 1 & 1],
            esn: kind & 4 != 0,
            udp: kind & 8 != 0,
        })
    }

    /// An SPI that differs between all kinds.
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

    /// A receiver that has received no packet.
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

    /// A UDP packet of the inner family, from its IP header on. Its checksums are correct, so that a
    /// program that dissects and rebuilds it changes nothing.
    pub fn inner_packet(&self, body: usize) -> Vec<u8> {
        let headers = match self.inner {
            Family::V4 => IpHeaders::Ipv4(
                Ipv4Header {
                    dscp: IpDscp::EF,
                    identification: 0x1234,
                    dont_fragment: true,
                    time_to_live: 63,
                    source: [10, 1, 0, 10],
                    destination: [10, 2, 0, 20],
                    ..Ipv4Header::default()
                },
                Ipv4Extensions::default(),
            ),
            Family::V6 => IpHeaders::Ipv6(
                Ipv6Header {
                    traffic_class: 0xb8,
                    flow_label: 0xabcde.try_into().unwrap(),
                    hop_limit: 63,
                    source: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10).octets(),
                    destination: Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x20).octets(),
                    ..Ipv6Header::default()
                },
                Ipv6Extensions::default(),
            ),
        };
        let payload: Vec<u8> = (0..body).map(|i| (i * 31) as u8).collect();
        let builder = PacketBuilder::ip(headers).udp(12345, 9999);
        let mut packet = Vec::new();
        builder.write(&mut packet, &payload).unwrap();
        packet
    }
}

/// Octets in hexadecimal digits, the input format of scapy_esp.py and tshark.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
