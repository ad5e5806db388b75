//! Key files, and the sequence numbers that are reserved for each key.
//!
//! A key file contains the cipher and the key of one SA as TOML. A steering key file contains 32 hex
//! digits. Both are refused if anyone but the owner can read them. Key material stays in buffers that are
//! overwritten when dropped, and appears in no log, `Debug` output or error text.
//!
//! `create` writes the files, `read` reads them, and [`sequence`] reserves sequence numbers on disk before
//! they are used.

mod create;
pub mod file;
mod read;
pub mod sequence;
mod steering_key;

pub use create::{CreateError, new_sa, new_steering};
pub use read::{Fingerprint, KeyError, SaKey, read_sa, read_steering};
pub use steering_key::SteeringKey;
