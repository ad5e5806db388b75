//! A link that keeps packets in order and loses some of them.

use crate::random::Random;

/// Nanoseconds since the start of the schedule.
pub type Time = u64;

/// Nanoseconds of a microsecond.
pub const US: Time = 1_000;
/// Nanoseconds of a millisecond.
pub const MS: Time = 1_000_000;

/// The delay of a link.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// The least delay.
    pub base: Time,
    /// The most time in addition to `base`.
    pub jitter: Time,
}

/// One direction of a link.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    delay: Delay,
    /// Lost packets in a million.
    loss: u64,
    last: Time,
    /// The link loses every packet.
    pub is_down: bool,
}

impl Link {
    pub fn new(delay: Delay, loss: u64) -> Self {
        Self {
            delay,
            loss,
            last: 0,
            is_down: false,
        }
    }

    /// The arrival time of a packet that is sent now, or `None` if the packet is lost.
    pub fn send(&mut self, now: Time, random: &mut Random) -> Option<Time> {
        let jitter = random.below(self.delay.jitter + 1);
        let at = (now + self.delay.base + jitter).max(self.last + 1);
        if self.is_down || random.chance(self.loss) {
            return None;
        }
        self.last = at;
        Some(at)
    }
}
