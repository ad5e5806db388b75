//! What a person gives to be explained: a packet in hex, a file, or a flow in words.

use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use super::flow::{Flow, FlowError};
use super::packet::{LONGEST, Packet};
use crate::key::hex;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One packet.
    Packet(Packet),
    /// One direction of a flow, and the other.
    Flow(Flow),
    /// The packets of a file.
    Capture(PathBuf),
}

/// Why it is nothing that can be explained.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// Nothing.
    #[error("expected a packet in hex, a pcap or pcapng file, or a flow, got nothing")]
    Nothing,
    /// An arrow, but no flow.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// Half an octet.
    #[error(
        "expected a frame in pairs of hex digits, got {0} digits; a file of this name is ./{1}"
    )]
    Odd(usize, String),
    /// No frame is so long.
    #[error("{0} octets, and no frame that reaches an XDP program is longer than {LONGEST}")]
    Long(usize),
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if text.contains('>') {
            return Ok(Self::Flow(text.parse()?));
        }
        let digits: String = text.split([' ', ':', '\t', '\r', '\n']).collect();
        if digits.is_empty() {
            return Err(SubjectError::Nothing);
        }
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Self::Capture(text.into()));
        }
        match hex::decode(digits.as_bytes()) {
            None => Err(SubjectError::Odd(digits.len(), text.to_owned())),
            Some(octets) if octets.len() > LONGEST => Err(SubjectError::Long(octets.len())),
            Some(octets) => Ok(Self::Packet(Packet::Frame(octets.to_vec()))),
        }
    }
}
