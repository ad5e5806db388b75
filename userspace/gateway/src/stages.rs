//! Where a worker's time goes: what it costs by stage, how long its bursts are, how full its rings.
//!
//! A clock is read between the stages of a round, for a burst and not for a packet, and only in one of [`EVERY`]
//! rounds that received something. So the view is always there and costs next to nothing: at most one reading a round,
//! on average, whatever comes.

use std::ops::{Index, IndexMut};
use std::time::Instant;

use causeway_device::Occupancy;

use crate::profile::Rings;

/// One round of so many that receive packets is timed: a prime, so that it does not fall in step with traffic
/// that comes in powers of two.
const EVERY: u32 = 31;

/// A part of the worker's round, in their order there; [`Stage::help`] says what happens in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Stage::help says what each is")]
pub enum Stage {
    Control,
    Receive,
    Forward,
    Seal,
    Open,
    Deliver,
    Transmit,
    Maintain,
    Publish,
}

impl Stage {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 9] = [
        Self::Control,
        Self::Receive,
        Self::Forward,
        Self::Seal,
        Self::Open,
        Self::Deliver,
        Self::Transmit,
        Self::Maintain,
        Self::Publish,
    ];

    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Receive => "receive",
            Self::Forward => "forward",
            Self::Seal => "seal",
            Self::Open => "open",
            Self::Deliver => "deliver",
            Self::Transmit => "transmit",
            Self::Maintain => "maintain",
            Self::Publish => "publish",
        }
    }

    /// What happens in it.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Control => {
                "What concerns no single packet: lifetimes, holds, dummies, next hops that are asked for."
            }
            Self::Receive => "Takes a burst from the receive rings.",
            Self::Forward => "Parses, and looks up the tunnel, the selectors and the holds.",
            Self::Seal => "Encrypts, outer headers included.",
            Self::Open => "Looks up the SA and decrypts.",
            Self::Deliver => {
                "Looks at what was decrypted, finds the next hop, writes the Ethernet header."
            }
            Self::Transmit => "Hands over to the transmit ring, and has the kernel send.",
            Self::Maintain => "Gives frames back and refills the rings.",
            Self::Publish => "Publishes the counters.",
        }
    }
}

/// What a stage took in the rounds that were timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Packets that went through it.
    pub packets: u64,
    /// Time, including the reading of the clock: some 20 ns a burst.
    pub nanoseconds: u64,
}

/// What the stages took in the rounds that were timed, one of 31 that received packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages([Share; Stage::ALL.len()]);

impl Stages {
    /// All stages with what they took, also those that no packet met.
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

/// Reads the clock between the stages of a round, if the round is one of those that are timed.
#[derive(Debug)]
pub(crate) struct Timer {
    /// Rounds that receive packets until one is timed.
    left: u32,
    /// When the stage began that is under way; none in a round that is not timed.
    since: Option<Instant>,
    /// How often the clock was read in this round.
    readings: u32,
    /// Of this round: what it is worth is known at its end.
    laps: Stages,
    /// Of all rounds that were timed.
    pub(crate) stages: Stages,
    pub(crate) rings: Rings,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self {
            left: EVERY - 1,
            since: None,
            readings: 0,
            laps: Stages::default(),
            stages: Stages::default(),
            rings: Rings::default(),
        }
    }

    /// A round begins.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.left == 0 {
            self.laps = Stages::default();
            self.readings = 0;
            self.since = Some(Instant::now());
        }
    }

    /// A stage ends, which so many packets have gone through; the next one begins.
    #[inline]
    pub(crate) fn lap(&mut self, stage: Stage, packets: usize) {
        if let Some(since) = self.since {
            self.read(since, stage, packets);
        }
    }

    #[cold]
    fn read(&mut self, since: Instant, stage: Stage, packets: usize) {
        let now = Instant::now();
        let share = &mut self.laps[stage];
        share.packets += packets as u64;
        share.nanoseconds += now.saturating_duration_since(since).as_nanos() as u64;
        self.since = Some(now);
        self.readings += 1;
    }

    /// Looks at the rings after a burst of so many packets; the look is in no stage.
    #[inline]
    pub(crate) fn look(&mut self, received: usize, occupancy: impl FnOnce() -> Occupancy) {
        if self.since.is_some() {
            self.rings.add(received, occupancy());
            self.since = Some(Instant::now());
        }
    }

    /// The round ends, which received so many packets. Returns whether it told something.
    #[inline]
    pub(crate) fn end(&mut self, received: usize) -> bool {
        let timed = self.since.take().is_some();
        if received == 0 {
            return false;
        }
        if !timed {
            self.left -= 1;
            return false;
        }
        // Where many packets are answered by ICMP, the clock is read for each: such a round is made up for, so that
        // no traffic makes timing dear.
        self.left = EVERY.max(self.readings) - 1;
        for (sum, share) in self.stages.0.iter_mut().zip(&self.laps.0) {
            sum.packets += share.packets;
            sum.nanoseconds += share.nanoseconds;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many rounds end untimed after one with so many readings.
    fn untimed_after(readings: u32) -> u32 {
        let mut timer = Timer::new();
        timer.left = 0;
        timer.begin();
        (0..readings).for_each(|_| timer.lap(Stage::Seal, 1));
        assert!(timer.end(64));
        let mut untimed = 0;
        loop {
            timer.begin();
            timer.lap(Stage::Seal, 1);
            if timer.end(64) {
                return untimed;
            }
            untimed += 1;
        }
    }

    #[test]
    fn the_clock_is_read_at_most_once_a_round_on_average() {
        for (readings, untimed) in [(1, 30), (10, 30), (31, 30), (32, 31), (200, 199)] {
            assert_eq!(untimed_after(readings), untimed, "{readings} readings");
        }
    }
}
