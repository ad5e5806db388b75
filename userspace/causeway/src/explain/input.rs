//! The argument PACKET: a frame in hex, a capture file, or a flow.

use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use super::flow::{Flow, FlowError};
use causeway_api::packet::{MAX_FRAME, Packet};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// One frame.
    Packet(Packet),
    /// A packet of this flow, and its reply.
    Flow(Flow),
    /// The packets of a file.
    Capture(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InputError {
    #[error("expected a frame in hex digits, a pcap or pcapng file, or a flow, got nothing")]
    Empty,
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error(
        "expected a frame in pairs of hex digits, got {0} digits; for a file of this name write ./{1}"
    )]
    OddDigits(usize, String),
    #[error("{0} octets: no frame that reaches an XDP program is longer than {MAX_FRAME}")]
    TooLong(usize),
}

impl FromStr for Input {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        if text.contains('>') {
            return Ok(Self::Flow(text.parse()?));
        }
        let digits: String = text.split([' ', ':', '\t', '\r', '\n']).collect();
        if digits.is_empty() {
            return Err(InputError::Empty);
        }
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Self::Capture(text.into()));
        }
        match base16ct::mixed::decode_vec(&digits) {
            Err(_) => Err(InputError::OddDigits(digits.len(), text.to_owned())),
            Ok(octets) if octets.len() > MAX_FRAME => Err(InputError::TooLong(octets.len())),
            Ok(octets) => Ok(Self::Packet(Packet::Frame(octets))),
        }
    }
}
