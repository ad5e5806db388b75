//! The stages of a worker's round, and the time that they take.

use std::ops::{Index, IndexMut};

/// A stage of the worker's round, in the order of the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Stage::help describes each")]
pub enum Stage {
    Control,
    Receive,
    Classify,
    Seal,
    Open,
    Deliver,
    Transmit,
    Reclaim,
    Publish,
}

impl Stage {
    /// All stages, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Control,
        Self::Receive,
        Self::Classify,
        Self::Seal,
        Self::Open,
        Self::Deliver,
        Self::Transmit,
        Self::Reclaim,
        Self::Publish,
    ];

    /// The stage's name in metrics and reports, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Receive => "receive",
            Self::Classify => "classify",
            Self::Seal => "seal",
            Self::Open => "open",
            Self::Deliver => "deliver",
            Self::Transmit => "transmit",
            Self::Reclaim => "reclaim",
            Self::Publish => "publish",
        }
    }

    /// A description of the stage's work for metrics and reports.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Control => {
                "Work that is not per packet: lifetimes, holds, dummies, requests for next hops."
            }
            Self::Receive => "Takes a burst from the receive rings.",
            Self::Classify => "Parses headers and looks up tunnel, selectors and holds.",
            Self::Seal => "Encrypts, and writes the outer headers.",
            Self::Open => "Looks up the SA and decrypts.",
            Self::Deliver => {
                "Checks decrypted packets, looks up the next hop, writes the Ethernet header."
            }
            Self::Transmit => "Fills the transmit ring and wakes the kernel.",
            Self::Reclaim => "Releases frames and refills the rings.",
            Self::Publish => "Publishes the counters.",
        }
    }
}

/// The packets and the time of one stage, summed over the timed rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Packets that passed the stage.
    pub packets: u64,
    /// Time, including the reading of the clock, which takes some 20 ns per burst.
    pub nanoseconds: u64,
}

/// The packets and the time of all stages, summed over the timed rounds: one of 31 that received packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages(pub(crate) [Share; Stage::ALL.len()]);

impl Stages {
    /// All stages with their packets and time, also stages that no packet passed.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Share)> + '_ {
        Stage::ALL.iter().map(|&stage| (stage, self[stage]))
    }
}

impl Index<Stage> for Stages {
    type Output = Share;
    fn index(&self, stage: Stage) -> &Share {
        &self.0[stage as usize]
    }
}

impl IndexMut<Stage> for Stages {
    fn index_mut(&mut self, stage: Stage) -> &mut Share {
        &mut self.0[stage as usize]
    }
}
