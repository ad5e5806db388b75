//! Where a worker's time goes.

use serde::{Deserialize, Serialize};

/// The rounds of a worker's loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// All of them.
    pub all: u64,
    /// Those in which nothing moved.
    pub empty: u64,
    /// Times that the worker slept until it was woken, or until a limit was over.
    pub sleeps: u64,
    /// How long it slept, in nanoseconds.
    pub asleep_ns: u64,
}

/// How often bursts of a length came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// The most packets that one of them had; more than `most` of the entry before. Absent: there is no limit.
    pub most: Option<u64>,
    /// How many of them came.
    pub count: u64,
}

/// What a stage of the worker's round took in the rounds that were timed: one in 31 of those that received
/// packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub stage: String,
    /// Packets that went through it.
    pub packets: u64,
    /// How long that took, in nanoseconds.
    pub ns: u64,
}

/// How full a worker's rings were, in the rounds that were timed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rings {
    /// How often they were looked at.
    pub looks: u64,
    /// Packets that had arrived.
    pub receive: Ring,
    /// Frames that stood ready to receive into, for all workers of the queue.
    pub fill: Ring,
    /// Packets that the kernel had yet to send.
    pub transmit: Ring,
}

/// One kind of ring, over all queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// What stood in it, the sum of all looks.
    pub entries: u64,
    /// The most that could stand in it at one look.
    pub room: u64,
}

impl Rings {
    /// The rings by name.
    pub fn named(&self) -> [(&'static str, Ring); 3] {
        [
            ("receive", self.receive),
            ("fill", self.fill),
            ("transmit", self.transmit),
        ]
    }
}
