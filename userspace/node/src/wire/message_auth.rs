//! Messages with a message authentication code: `version | postcard | tag`.
//!
//! The roles of both VPCs share one secret, the steering key, so it authenticates their messages. Each message type
//! has its own MAC key, derived from the steering key. A message of one type is thus invalid as any other type, and
//! no MAC key is the key of the steering hash. The tag also covers what sender and recipient know without the message:
//! their addresses, and within a VPC its prefixes. Messages are not encrypted: they reveal no more than the paths of
//! the packets do.

use std::net::{IpAddr, Ipv6Addr};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use causeway_rescale::message::PeerMessage;
use ipnet::IpNet;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::LONGEST;
use super::session::{ReplyDatagram, RequestDatagram};
use causeway_keys::SteeringKey;

/// Octets of a tag: HMAC-SHA256 truncated to half, as RFC 2104 section 5 permits. A forged datagram is accepted with
/// probability 2^-128.
pub const TAG: usize = 16;
/// The version of the encoding. Incremented when a message changes: roles of different versions cannot communicate.
const VERSION: u8 = 2;

/// The sender and the receiver of a message, by role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    DemuxToGateway,
    GatewayToDemux,
    DemuxToDemux,
}

impl MessageType {
    /// The input from which the key of this type is derived.
    fn label(self) -> &'static [u8] {
        match self {
            Self::DemuxToGateway => b"causeway rescale: demux to gateway",
            Self::GatewayToDemux => b"causeway rescale: gateway to demux",
            Self::DemuxToDemux => b"causeway rescale: demux to demux",
        }
    }
}

/// The addresses of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub from: IpAddr,
    pub to: IpAddr,
}

/// A message that [`MessageAuth`] encodes and authenticates.
pub trait Message: Serialize + DeserializeOwned {
    const TYPE: MessageType;
}

impl Message for RequestDatagram {
    const TYPE: MessageType = MessageType::DemuxToGateway;
}

impl Message for ReplyDatagram {
    const TYPE: MessageType = MessageType::GatewayToDemux;
}

impl Message for PeerMessage {
    const TYPE: MessageType = MessageType::DemuxToDemux;
}

/// Why a datagram is not accepted as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("expected {least} to {LONGEST} octets, got {got}", least = 1 + TAG)]
    Length { got: usize },
    #[error(
        "expected a message of version {VERSION}, got {got}: run one version of Causeway on all hosts"
    )]
    Version { got: u8 },
    #[error(
        "the tag is wrong: the sender has a different steering key or other vpc.prefixes, or the message is for \
         another host, or it is forged"
    )]
    Forged,
    #[error(
        "the tag is right, but the message cannot be decoded: run one version of Causeway on all hosts"
    )]
    Malformed,
}

/// The MAC keys of a role. The `Debug` output contains no key material.
#[derive(Clone, Debug)]
pub struct MessageAuth {
    demux_to_gateway: hmac::Key,
    gateway_to_demux: hmac::Key,
    demux_to_demux: hmac::Key,
}

impl MessageAuth {
    /// Derives the keys from the steering key. HMAC is the pseudorandom function, a label per message type its input
    /// (NIST SP 800-108r1 section 4.1 with one iteration, where counter and length are constant). Within a VPC a digest
    /// of its prefixes is a part of the label, so that no message is valid in another VPC.
    pub fn new(steering: &[u8; SteeringKey::LEN], vpc: &[IpNet]) -> Self {
        let root = hmac::Key::new(HMAC_SHA256, steering);
        let derive = |label: &[u8]| hmac::Key::new(HMAC_SHA256, hmac::sign(&root, label).as_ref());
        let vpc = digest_of(vpc);
        let within = |message_type: MessageType| derive(&[message_type.label(), &vpc].concat());
        Self {
            demux_to_gateway: within(MessageType::DemuxToGateway),
            gateway_to_demux: within(MessageType::GatewayToDemux),
            demux_to_demux: derive(MessageType::DemuxToDemux.label()),
        }
    }

    /// Encodes a message and appends its tag. `None` if the result is longer than [`LONGEST`]; no message of a
    /// coordinator or a responder is.
    pub fn encode<M: Message>(&self, ends: Ends, message: &M) -> Option<Vec<u8>> {
        let mut octets = postcard::to_extend(message, vec![VERSION]).ok()?;
        octets.extend(self.tag(M::TYPE, ends, &octets));
        (octets.len() <= LONGEST).then_some(octets)
    }

    /// Verifies the tag of a datagram and decodes the message.
    ///
    /// # Errors
    /// [`MessageError`]. Content is decoded only after its tag was verified.
    pub fn decode<M: Message>(&self, ends: Ends, octets: &[u8]) -> Result<M, MessageError> {
        let got = octets.len();
        let (body, tag) = match octets.split_last_chunk::<TAG>() {
            Some((body, tag)) if got <= LONGEST => (body, tag),
            _ => return Err(MessageError::Length { got }),
        };
        let message = match body {
            [VERSION, message @ ..] => message,
            [other, ..] => return Err(MessageError::Version { got: *other }),
            [] => return Err(MessageError::Length { got }),
        };
        if verify_slices_are_equal(tag, &self.tag(M::TYPE, ends, body)).is_err() {
            return Err(MessageError::Forged);
        }
        match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            Ok(_) | Err(_) => Err(MessageError::Malformed),
        }
    }

    /// The tag of `body` as a message of this type between these ends. The content of `body` is not checked.
    pub fn tag(&self, message_type: MessageType, ends: Ends, body: &[u8]) -> [u8; TAG] {
        let key = match message_type {
            MessageType::DemuxToGateway => &self.demux_to_gateway,
            MessageType::GatewayToDemux => &self.gateway_to_demux,
            MessageType::DemuxToDemux => &self.demux_to_demux,
        };
        let mut context = hmac::Context::with_key(key);
        // Of constant length, so that no two inputs are the same sequence of octets.
        context.update(&wide(ends.from).octets());
        context.update(&wide(ends.to).octets());
        context.update(body);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG]);
        tag
    }
}

/// An IPv4 address as an IPv4-mapped one, which never occurs on the wire.
fn wide(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// A digest of a VPC's prefixes, whatever their order.
fn digest_of(prefixes: &[IpNet]) -> [u8; 32] {
    let mut sorted: Vec<String> = prefixes
        .iter()
        .map(|prefix| format!("{prefix}\n"))
        .collect();
    sorted.sort();
    sorted.dedup();
    let mut octets = [0; 32];
    octets.copy_from_slice(digest::digest(&SHA256, sorted.concat().as_bytes()).as_ref());
    octets
}
