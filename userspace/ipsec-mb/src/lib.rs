//! The AEADs of intel-ipsec-mb, opened at run time where it is installed.
//!
//! Nothing of it is needed to build: no header, no library to link. [`Library::get`] opens
//! `libIPSec_MB.so.1`, refuses whatever is not the version whose layout is written down here, and says why
//! ([`Unavailable`]). A [`Key`] then seals and opens from one slice into another.
//!
//! The library's own burst calls are not used. For AES-GCM a direct call is faster (39 ns against
//! 45 at 66 bytes, 140 against 146 at 1410), and for ChaCha20-Poly1305 a burst of 16 saves 4 ns of 161: in
//! version 1.3 neither works on several packets at once.
//!
//! The `unsafe` of this project's foreign functions stands here and nowhere else.

#![allow(unsafe_code)]

mod chacha;
mod gcm;
mod key;
mod layout;
mod library;
mod prefetch;

pub use key::{Cipher, Error, ICV_LEN, Key, NONCE_LEN};
pub use library::{Library, Unavailable};
pub use prefetch::{prefetch, prefetch_value, prefetch_write};
