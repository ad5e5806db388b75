//! One packet of the corpus.

use causeway_steering::{DropReason, PuntReason};

/// The expected outcome of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Punt(PuntReason),
    Drop(DropReason),
    Worker(u32),
    /// To a worker of a local gateway, which the hash selects.
    AnyWorker,
    /// To a remote gateway, which the hash selects.
    AnyGateway,
}

/// A packet with its expected outcome.
pub struct Case {
    pub name: &'static str,
    pub frame: Vec<u8>,
    pub end: End,
}

pub(super) fn case(name: &'static str, frame: Vec<u8>, end: End) -> Case {
    Case { name, frame, end }
}
