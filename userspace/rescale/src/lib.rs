//! How a cluster changes under full load, with nothing reordered.
//!
//! Pure and deterministic: no clock, no socket, no thread. What it is told and what it wants done
//! are values, so that a simulation can play thousands of schedules with what runs in production.
//!
//! In the order in which a change meets them: [`change`] (what is asked), [`table`] (which buckets
//! move), [`coordinator`] (in which order buckets, holds and markers change), [`message`] (what is
//! said to gateways and to the peer's demux).
#![forbid(unsafe_code)]

pub mod buckets;
pub mod change;
pub mod coordinator;
pub mod message;
pub mod table;

pub use buckets::BucketSet;
pub use change::{Change, Ordinal, Weight};
pub use table::Table;
