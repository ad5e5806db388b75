//! The time of a worker: rounds, bursts, stages and rings.

use serde::{Deserialize, Serialize};

/// The rounds of a worker's loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rounds {
    /// All rounds.
    pub all: u64,
    /// Rounds without a packet.
    pub empty: u64,
    /// Sleeps, until a wake-up or a timeout.
    pub sleeps: u64,
    /// The total time of all sleeps, in nanoseconds.
    pub asleep_ns: u64,
}

/// One class of a histogram of burst lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Burst {
    /// The longest burst of this class, in packets; the previous class ends below it. `null` in the last class.
    pub most: Option<u64>,
    /// Bursts of this class.
    pub count: u64,
}

/// The time of a stage in the timed rounds: one in 31 of the rounds that received packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stage {
    /// The name of the stage.
    pub stage: String,
    /// Packets of the timed rounds.
    pub packets: u64,
    /// The time for these packets, in nanoseconds.
    pub ns: u64,
}

/// The occupancy of a worker's rings in the timed rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rings {
    /// The number of samples.
    pub samples: u64,
    /// The receive rings: packets that had arrived.
    pub receive: Ring,
    /// The fill rings: frames ready to receive into, for all workers of the queue.
    pub fill: Ring,
    /// The transmit rings: packets that the kernel had not sent yet.
    pub transmit: Ring,
}

/// One kind of ring, over all queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ring {
    /// The entries in the rings, summed over all samples.
    pub entries: u64,
    /// The capacity of the rings, in entries.
    pub room: u64,
}

impl Rings {
    /// The rings with their names in the document.
    pub fn named(&self) -> [(&'static str, Ring); 3] {
        [
            ("receive", self.receive),
            ("fill", self.fill),
            ("transmit", self.transmit),
        ]
    }
}
