//! Changes a cluster under full load without reordering packets.
//!
//! The crate is pure and deterministic: no clock, no socket, no thread. All inputs and outputs are
//! values, so a simulation runs thousands of schedules through the code of production.
//!
//! - [`change`]: the changes that an operator can request.
//! - [`table`]: the pair of each bucket, and the buckets that a change moves.
//! - [`coordinator`]: the order of bucket moves, holds and markers.
//! - [`message`]: the messages to gateways and to the peer's demux; [`buckets`]: a set of buckets.
#![forbid(unsafe_code)]

pub mod buckets;
pub mod change;
pub mod coordinator;
pub mod message;
pub mod table;

pub use buckets::BucketSet;
pub use change::{Change, Ordinal, Weight};
pub use table::Table;
