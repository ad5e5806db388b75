//! Messages under a keyed MAC.
//!
//! `version | postcard | tag`. The steering key is the one secret that all roles of both VPCs
//! share, so it is what proves that a message is theirs; each kind of message has a MAC key of its
//! own derived from it, so that none passes for another, and the steering hash none of them. What is
//! said is no secret in the VPC: holds and markers tell no more than the packets' ways do.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use causeway_rescale::message::{FromGateway, PeerWord, ToGateway};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::LONGEST;
use crate::config::SteeringKey;

/// Octets of a tag: HMAC-SHA256 cut to half, as RFC 2104 section 5 allows. A forger has one guess in
/// 2^128 with each datagram, and the longest message fits the smallest MTU, as with the whole
/// tag it would not.
pub const TAG: usize = 16;
/// Of the layout. Raised when a message changes: roles of two versions do not understand each other.
const VERSION: u8 = 1;

/// A kind of message: who says it to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Demux to gateway.
    ToGateway,
    /// Gateway to demux.
    FromGateway,
    /// Demux to demux.
    Peer,
}

impl Kind {
    /// What the key is derived for.
    fn label(self) -> &'static [u8] {
        match self {
            Self::ToGateway => b"causeway rescale: demux to gateway",
            Self::FromGateway => b"causeway rescale: gateway to demux",
            Self::Peer => b"causeway rescale: demux to demux",
        }
    }
}

/// What can be sealed.
pub trait Message: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: Kind;
}

impl Message for ToGateway {
    const KIND: Kind = Kind::ToGateway;
}

impl Message for FromGateway {
    const KIND: Kind = Kind::FromGateway;
}

impl Message for PeerWord {
    const KIND: Kind = Kind::Peer;
}

/// Why octets are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short or too long to be one.
    #[error("expected {least} to {LONGEST} octets, got {got}", least = 1 + TAG)]
    Length {
        /// How many there were.
        got: usize,
    },
    /// Another version's, or noise.
    #[error(
        "expected a message of version {VERSION}, got {got}: run one version of Causeway on all hosts"
    )]
    Version {
        /// The first octet.
        got: u8,
    },
    /// The tag is another.
    #[error("the tag does not match: another steering key, or a forgery")]
    Forged,
    /// Sealed with the key, and yet no message.
    #[error(
        "sealed by a role of ours, but not understood: run one version of Causeway on all hosts"
    )]
    Malformed,
}

/// The MAC keys. They show nothing of themselves in logs.
#[derive(Clone, Debug)]
pub struct Seals {
    to_gateway: hmac::Key,
    from_gateway: hmac::Key,
    peer: hmac::Key,
}

impl Seals {
    /// Derived from the steering key: HMAC as a pseudorandom function of a label each (NIST SP
    /// 800-108r1 section 4.1 with one iteration, whose counter and length would never change).
    pub fn new(steering: &[u8; SteeringKey::LEN]) -> Self {
        let root = hmac::Key::new(HMAC_SHA256, steering);
        let derive =
            |kind: Kind| hmac::Key::new(HMAC_SHA256, hmac::sign(&root, kind.label()).as_ref());
        Self {
            to_gateway: derive(Kind::ToGateway),
            from_gateway: derive(Kind::FromGateway),
            peer: derive(Kind::Peer),
        }
    }

    /// The message as a datagram's octets. `None` if it is longer than [`LONGEST`], as nothing is
    /// that a coordinator or an agent says.
    pub fn seal<M: Message>(&self, message: &M) -> Option<Vec<u8>> {
        let mut octets = postcard::to_extend(message, vec![VERSION]).ok()?;
        octets.extend(self.tag(M::KIND, &octets));
        (octets.len() <= LONGEST).then_some(octets)
    }

    /// The message that a datagram holds.
    ///
    /// # Errors
    /// [`OpenError`]; nothing of it was interpreted before the tag had been found right.
    pub fn open<M: Message>(&self, octets: &[u8]) -> Result<M, OpenError> {
        let got = octets.len();
        let (said, tag) = match octets.split_last_chunk::<TAG>() {
            Some((said, tag)) if got <= LONGEST => (said, tag),
            _ => return Err(OpenError::Length { got }),
        };
        let message = match said {
            [VERSION, message @ ..] => message,
            [other, ..] => return Err(OpenError::Version { got: *other }),
            [] => return Err(OpenError::Length { got }),
        };
        if verify_slices_are_equal(tag, &self.tag(M::KIND, said)).is_err() {
            return Err(OpenError::Forged);
        }
        match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            Ok(_) | Err(_) => Err(OpenError::Malformed),
        }
    }

    /// The tag that makes octets a message of a kind, whatever they say.
    pub fn tag(&self, kind: Kind, said: &[u8]) -> [u8; TAG] {
        let key = match kind {
            Kind::ToGateway => &self.to_gateway,
            Kind::FromGateway => &self.from_gateway,
            Kind::Peer => &self.peer,
        };
        let whole = hmac::sign(key, said);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&whole.as_ref()[..TAG]);
        tag
    }
}
