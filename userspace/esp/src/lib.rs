//! ESP in tunnel mode (RFC 4303) as pure functions over byte slices.
//!
//! The crate does no I/O, allocates nothing per packet and contains no `unsafe`. It reads a clock only to
//! measure the fastest backend ([`BackendChoice::Auto`]).
//!
//! # Steps of a packet
//!
//! Sending, [`OutboundSa::seal`]:
//! 1. The inner packet, IPv4 or IPv6, is parsed and checked against the SA's [`Lifetime`]. Each refusal is
//!    a [`SealError`].
//! 2. [`Sequence::issue`] returns a [`Nonce`]. Encryption consumes the nonce, so it is used once.
//! 3. Padding and next header are written behind the inner packet, in the source frame.
//! 4. The AEAD reads the source frame and writes the destination frame: encryption is the copy.
//! 5. The outer header, IPv4 or IPv6, is copied from the SA's template. Only length, identification, TOS,
//!    DF and checksum change per packet.
//!
//! Receiving, [`InboundSa::open`], in the order of RFC 4303 section 3.4:
//! 1. The replay window infers the 64-bit sequence number and checks it. The result is a *candidate*.
//! 2. The AEAD verifies the ICV and only then decrypts. It consumes the candidate and returns an
//!    *authentic* number.
//! 3. The window advances. It accepts only an authentic number, so a forged packet cannot move it.
//! 4. Padding, next header and inner length are checked, and the ECN fields are combined (RFC 6040).
//!
//! Extended sequence numbers (ESN) are the default. The 8-octet IV is the sequence number, with and
//! without ESN, so one counter serves both replay protection and nonces (RFC 4106 section 3.1,
//! RFC 7634 section 2).

#![warn(missing_docs)]

mod aead;
mod burst;
mod cipher;
mod ecn;
mod inner;
mod key;
mod lifetime;
mod open;
mod outer;
#[cfg(feature = "pieces")]
pub mod pieces;
mod seal;
mod sequence;
mod spi;
mod table;
mod window;
mod wire;

pub use aead::{Available, Backend, BackendChoice, BackendMissing};
pub use burst::{OpenBurst, SealBurst, ToOpen, ToSeal, seal_burst};
pub use causeway_ipsec_mb::{prefetch, prefetch_value, prefetch_write};
pub use cipher::{Cipher, UnknownCipher};
pub use key::{Key, KeyError};
pub use lifetime::{Lifetime, LifetimeState, Limits, Usage};
pub use open::{InboundConfig, InboundSa, OpenError, Opened};
pub use outer::{DontFragment, Dscp, Encapsulation, Ends, MixedFamilies, NAT_T_PORT, Outer};
pub use seal::{OutboundConfig, OutboundSa, SealError, TAIL_ROOM, Tfc};
pub use sequence::{Nonce, Sequence, SequenceError};
pub use spi::{Spi, peek};
pub use table::SaTable;
pub use window::WindowError;
