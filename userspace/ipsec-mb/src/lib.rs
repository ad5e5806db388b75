//! Bindings to the AEADs of intel-ipsec-mb. The library is loaded at run time if it is installed.
//!
//! The build needs neither its headers nor the library. [`Library::get`] opens `libIPSec_MB.so.1` and accepts only the
//! version whose layout is declared here; [`Unavailable`] gives the reason for a refusal. A [`Key`] seals and opens from
//! one slice into another.
//!
//! The library's burst calls are not used: in version 1.3 neither cipher processes several packets at once. For AES-GCM
//! a direct call is faster (39 ns instead of 45 ns at 66 bytes, 140 ns instead of 146 ns at 1410 bytes). For
//! ChaCha20-Poly1305 a burst of 16 saves 4 ns of 161 ns.
//!
//! All calls of foreign cipher functions, and thus their `unsafe`, are in this crate.

#![allow(unsafe_code)]

mod chacha;
mod gcm;
mod key;
mod layout;
mod lengths;
mod library;
mod prefetch;

pub use key::{Cipher, Error, Key};
pub use lengths::{ICV_LEN, NONCE_LEN};
pub use library::{Library, Unavailable};
pub use prefetch::{prefetch, prefetch_value, prefetch_write};
