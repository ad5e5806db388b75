//! The packet of a query.

use causeway_steering::headers::{ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, MAX_TAGS, TAG};
use serde::{Deserialize, Serialize};

/// The longest frame, in octets, that reaches an XDP program in one page: the largest MTU that a
/// configuration may have, an Ethernet header and two tags.
pub const MAX_FRAME: usize = 3498 + ETHERNET + MAX_TAGS * TAG;

/// A packet, as hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", try_from = "HexPacket", into = "HexPacket")]
pub enum Packet {
    /// An Ethernet frame as the NIC receives it.
    Frame(Vec<u8>),
    /// An IP packet. It counts as received in a frame for the NIC.
    Ip(Vec<u8>),
}

impl Packet {
    /// The frame. An IP packet gets an Ethernet header for the MAC address `nic`.
    pub fn frame(&self, nic: [u8; 6]) -> Vec<u8> {
        match self {
            Self::Frame(frame) => frame.clone(),
            Self::Ip(packet) => {
                let ethertype = match packet.first().map(|octet| octet >> 4) {
                    Some(6) => ETHERTYPE_IPV6,
                    _ => ETHERTYPE_IPV4,
                };
                [&nic[..], &[0; 6], &ethertype.to_be_bytes(), packet].concat()
            }
        }
    }
}

/// The JSON form of [`Packet`]: octets as hex digits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum HexPacket {
    /// An Ethernet frame as the NIC receives it.
    Frame(String),
    /// An IP packet. It counts as received in a frame for the NIC.
    Ip(String),
}

impl From<Packet> for HexPacket {
    fn from(packet: Packet) -> Self {
        let digits = base16ct::lower::encode_string;
        match packet {
            Packet::Frame(frame) => Self::Frame(digits(&frame)),
            Packet::Ip(packet) => Self::Ip(digits(&packet)),
        }
    }
}

impl TryFrom<HexPacket> for Packet {
    type Error = String;

    fn try_from(packet: HexPacket) -> Result<Self, String> {
        let octets = |digits: &str| match base16ct::mixed::decode_vec(digits) {
            Ok(octets) if octets.len() <= MAX_FRAME => Ok(octets),
            Ok(octets) => Err(format!(
                "the packet has {} octets; expected at most {MAX_FRAME}, the longest frame that \
                 reaches an XDP program",
                octets.len()
            )),
            Err(_) => Err("expected octets as pairs of hex digits".to_owned()),
        };
        Ok(match packet {
            HexPacket::Frame(digits) => Self::Frame(octets(&digits)?),
            HexPacket::Ip(digits) => Self::Ip(octets(&digits)?),
        })
    }
}
