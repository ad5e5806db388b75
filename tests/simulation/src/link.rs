//! A way on which packets keep their order, and on which some are lost.

use crate::random::Random;

/// Nanoseconds since the schedule's begin.
pub type Time = u64;

/// Nanoseconds of a microsecond.
pub const US: Time = 1_000;
/// Nanoseconds of a millisecond.
pub const MS: Time = 1_000_000;

/// How long a way is.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// At least.
    pub base: Time,
    /// And so much more at most.
    pub jitter: Time,
}

/// One way.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    length: Length,
    /// Packets lost in a million.
    loss: u64,
    last: Time,
    /// Nothing gets through.
    pub is_down: bool,
}

impl Link {
    /// A way of this length.
    pub fn new(length: Length, loss: u64) -> Self {
        Self {
            length,
            loss,
            last: 0,
            is_down: false,
        }
    }

    /// When what is sent now arrives, if it does.
    pub fn send(&mut self, now: Time, random: &mut Random) -> Option<Time> {
        let late = random.below(self.length.jitter + 1);
        let at = (now + self.length.base + late).max(self.last + 1);
        if self.is_down || random.chance(self.loss) {
            return None;
        }
        self.last = at;
        Some(at)
    }
}
