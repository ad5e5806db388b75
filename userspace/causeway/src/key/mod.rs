//! Key files: how they are read, and how `causeway key` makes them.
//!
//! A key file holds one SA's cipher and key as TOML, a steering key file 32 hex digits. Both are
//! refused if anyone but their owner can read them. Key material stays in buffers that are
//! overwritten when dropped, and is in no log, `Debug` or error text.

mod create;
pub(crate) mod hex;
mod read;

pub use create::{CreateError, new_sa, new_steering};
pub(crate) use read::{Fingerprint, read_sa, read_steering};
pub use read::{KeyError, SaKey};
