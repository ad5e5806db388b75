//! The clock of a worker's round: it is read between the stages, in one of [`INTERVAL`] rounds that receive packets.
//!
//! A reading is per burst, not per packet. At most one reading per round, on average, keeps the cost of timing negligible
//! under any traffic.

use std::time::Instant;

use causeway_device::Occupancy;

use crate::profile::Rings;
use crate::stages::{Stage, Stages};

/// The number of rounds that receive packets per timed round. A prime, so that it does not fall in step with traffic in powers
/// of two.
const INTERVAL: u32 = 31;

/// Times the stages of a round, if the round is one of those that are timed.
#[derive(Debug)]
pub(crate) struct Timer {
    /// Rounds that receive packets until one is timed.
    rounds_left: u32,
    /// The beginning of the current stage; none in a round that is not timed.
    since: Option<Instant>,
    /// Readings of the clock in this round.
    readings: u32,
    /// The stages of this round. They count if the round received packets, which is known at its end.
    round: Stages,
    /// The sums of all timed rounds.
    pub(crate) stages: Stages,
    pub(crate) rings: Rings,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self {
            rounds_left: INTERVAL - 1,
            since: None,
            readings: 0,
            round: Stages::default(),
            stages: Stages::default(),
            rings: Rings::default(),
        }
    }

    /// Begins a round.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.rounds_left == 0 {
            self.round = Stages::default();
            self.readings = 0;
            self.since = Some(Instant::now());
        }
    }

    /// Ends a stage that `packets` packets have passed, and begins the next one.
    #[inline]
    pub(crate) fn lap(&mut self, stage: Stage, packets: usize) {
        if let Some(since) = self.since {
            self.read(since, stage, packets);
        }
    }

    #[cold]
    fn read(&mut self, since: Instant, stage: Stage, packets: usize) {
        let now = Instant::now();
        let share = &mut self.round[stage];
        share.packets += packets as u64;
        share.nanoseconds += now.saturating_duration_since(since).as_nanos() as u64;
        self.since = Some(now);
        self.readings += 1;
    }

    /// Samples the rings after a burst of `received` packets. The sample's own time belongs to no stage.
    #[inline]
    pub(crate) fn sample_rings(&mut self, received: usize, occupancy: impl FnOnce() -> Occupancy) {
        if self.since.is_some() {
            self.rings.add(received, occupancy());
            self.since = Some(Instant::now());
        }
    }

    /// Ends a round that received `received` packets. Returns whether the sums have changed.
    #[inline]
    pub(crate) fn end(&mut self, received: usize) -> bool {
        let timed = self.since.take().is_some();
        if received == 0 {
            return false;
        }
        if !timed {
            self.rounds_left -= 1;
            return false;
        }
        // Where many packets are answered by ICMP, the clock is read for each of them. More rounds then pass until the
        // next one is timed, so that no traffic makes timing expensive.
        self.rounds_left = INTERVAL.max(self.readings) - 1;
        for (sum, share) in self.stages.0.iter_mut().zip(&self.round.0) {
            sum.packets += share.packets;
            sum.nanoseconds += share.nanoseconds;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of untimed rounds after one with `readings` readings.
    fn untimed_after(readings: u32) -> u32 {
        let mut timer = Timer::new();
        timer.rounds_left = 0;
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
