//! ESP in tunnel mode (RFC 4303) as pure functions over byte slices: no I/O, no allocation per
//! packet, no `unsafe`, and a clock only to find the fastest backend ([`BackendChoice::Auto`]).
//!
//! # The order of things
//!
//! Sending, [`OutboundSa::seal`]:
//! 1. the inner packet, IPv4 or IPv6, is measured and held against the SA's [`Lifetime`]
//!    ([`SealError`] names what does not fit),
//! 2. [`Sequence::issue`] gives a [`Nonce`], which can be used once because it is consumed,
//! 3. padding and next header are written behind the inner packet, in its own frame,
//! 4. the AEAD reads that frame and writes the other one: encryption is the copy,
//! 5. the outer header, IPv4 or IPv6, comes ready from the SA; only length, identification, TOS, DF and checksum change.
//!
//! Receiving, [`InboundSa::open`], in the order of RFC 4303 section 3.4:
//! 1. the replay window infers the 64-bit number and checks it: a *candidate*,
//! 2. the AEAD verifies the ICV and only then decrypts; it takes the candidate and gives it back as *authentic*,
//! 3. the window advances, which takes the authentic number: it cannot move on a forged packet,
//! 4. padding, next header and inner length are inspected, the ECN fields combined (RFC 6040).
//!
//! Extended sequence numbers (ESN) are on unless the SA says otherwise. The 8-octet IV is the sequence
//! number, with ESN or without, so one counter rules both replay and nonces (RFC 4106 section 3.1,
//! RFC 7634 section 2).

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

pub use aead::{Available, Backend, BackendChoice, BackendMissing};
pub use burst::{OpenBurst, SealBurst, ToOpen, ToSeal, seal_burst};
pub use causeway_ipsec_mb::{prefetch, prefetch_value, prefetch_write};
pub use cipher::{Cipher, UnknownCipher};
pub use key::{Key, KeyError};
pub use lifetime::{Lifetime, Limits, Stage, Usage};
pub use open::{InboundConfig, InboundSa, OpenError, Opened};
pub use outer::{DontFragment, Dscp, Encapsulation, Ends, MixedFamilies, NAT_T_PORT, Outer};
pub use seal::{OutboundConfig, OutboundSa, SealError, TAIL_ROOM, Tfc};
pub use sequence::{Nonce, Sequence, SequenceError};
pub use spi::{Spi, peek};
pub use table::SaTable;
pub use window::WindowError;
