//! A packet as it is given to be explained.

use causeway_steering::headers::{ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, MAX_TAGS, TAG};
use serde::{Deserialize, Serialize};

use crate::key::hex;

/// Octets of the longest frame that reaches an XDP program in one page: the largest MTU that a
/// configuration may have, an Ethernet header and two tags.
pub const LONGEST: usize = 3498 + ETHERNET + MAX_TAGS * TAG;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "Written", into = "Written")]
pub enum Packet {
    /// An Ethernet frame as the NIC receives it.
    Frame(Vec<u8>),
    /// An IP packet, taken as one that comes in a frame for the NIC.
    Ip(Vec<u8>),
}

impl Packet {
    /// The frame, made around an IP packet if need be, for a NIC of this MAC address.
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

/// How it goes over the control socket: hex digits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Written {
    Frame(String),
    Ip(String),
}

impl From<Packet> for Written {
    fn from(packet: Packet) -> Self {
        let digits = |octets: &[u8]| {
            let mut text = String::with_capacity(2 * octets.len());
            hex::encode(octets, &mut text);
            text
        };
        match packet {
            Packet::Frame(frame) => Self::Frame(digits(&frame)),
            Packet::Ip(packet) => Self::Ip(digits(&packet)),
        }
    }
}

impl TryFrom<Written> for Packet {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let octets = |digits: &str| match hex::decode(digits.as_bytes()) {
            Some(octets) if octets.len() <= LONGEST => Ok(octets.to_vec()),
            Some(octets) => Err(format!(
                "{} octets, and no frame that reaches an XDP program is longer than {LONGEST}",
                octets.len()
            )),
            None => Err("expected octets as pairs of hex digits".to_owned()),
        };
        Ok(match written {
            Written::Frame(digits) => Self::Frame(octets(&digits)?),
            Written::Ip(digits) => Self::Ip(octets(&digits)?),
        })
    }
}
