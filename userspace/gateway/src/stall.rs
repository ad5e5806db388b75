//! Stall detection: a worker that did not run for [`STALL_AFTER`] drops the packets that it has.
//!
//! A process that was stopped or starved does not detect it by itself. Meanwhile its pair may have been declared dead and its
//! buckets moved to another one, so packets sent now would arrive late. Because of this rule a gateway counts as fenced
//! once it was silent for [`STALL_AFTER`], even if no fence reached it.

use std::time::{Duration, Instant};

use causeway_device::{Device, RxWatermark, STALL_AFTER};

/// For so long after a stall, packets that arrive may be late too: they waited in the NIC, or in front of a virtual
/// machine that was stopped with all its processes.
const AFTERMATH: Duration = Duration::from_millis(10);

/// Measures the time since the worker's loop last ran.
#[derive(Debug, Default)]
pub(crate) struct StallDetector {
    last: Option<Instant>,
    aftermath: Option<Aftermath>,
}

/// The time after a stall.
#[derive(Debug)]
struct Aftermath {
    until: Instant,
    /// The packets that were in the rings.
    found: RxWatermark,
    /// Whether all of them have been read.
    rings_clear: bool,
}

impl StallDetector {
    /// The loop runs.
    pub(crate) fn heartbeat(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// The time since the last heartbeat if it amounts to a stall. Without a first heartbeat there is none: tests choose
    /// the time of their workers.
    #[inline]
    pub(crate) fn stalled_for(&self, now: Instant) -> Option<Duration> {
        let silent = now.saturating_duration_since(self.last?);
        (silent > STALL_AFTER).then_some(silent)
    }

    /// Begins the aftermath of a stall.
    pub(crate) fn resume(&mut self, now: Instant, device: &mut impl Device) {
        self.last = Some(now);
        self.aftermath = Some(Aftermath {
            until: now + AFTERMATH,
            found: RxWatermark::at(device),
            rings_clear: false,
        });
    }

    /// Whether packets that are received now may have waited during a stall.
    #[inline]
    pub(crate) fn is_late(&mut self, now: Instant) -> bool {
        let over = |each: &Aftermath| each.rings_clear && now >= each.until;
        if self.aftermath.as_ref().is_some_and(over) {
            self.aftermath = None;
        }
        self.aftermath.is_some()
    }

    /// A burst was received.
    #[inline]
    pub(crate) fn received(&mut self, device: &mut impl Device) {
        if let Some(aftermath) = &mut self.aftermath {
            aftermath.rings_clear = aftermath.found.is_read(device);
        }
    }
}
