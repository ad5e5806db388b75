//! A worker that has not run for a while discards what it finds.
//!
//! A process that was stopped, or starved, does not know it. Meanwhile its pair may have been
//! declared dead, and its buckets gone another way: what it sent now would come late. So it is
//! enough for a gateway to be silent for [`STANDSTILL`], and it need not hear that it was fenced.

use std::time::{Duration, Instant};

use causeway_device::{Arrived, Device, STANDSTILL};
use causeway_steering::Drop;

use crate::control::Event;
use crate::worker::Worker;

/// For so long after it came back, what arrives may have stood still too: in the NIC, or before
/// a virtual machine that was stopped with all its processes.
const AFTERMATH: Duration = Duration::from_millis(10);

/// When the worker's loop ran.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    last: Option<Instant>,
    aftermath: Option<Aftermath>,
}

/// What follows a standstill.
#[derive(Debug)]
struct Aftermath {
    until: Instant,
    /// What stood in the rings.
    found: Arrived,
    /// Whether nothing of it is left.
    rings_clear: bool,
}

impl Pulse {
    /// Whether what arrives now may have stood still.
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
    pub(crate) fn looked(&mut self, device: &mut impl Device) {
        if let Some(aftermath) = &mut self.aftermath {
            aftermath.rings_clear = aftermath.found.is_read(device);
        }
    }
}

impl<D: Device> Worker<D> {
    /// Tells the worker that its loop runs. If it has not for longer than [`STANDSTILL`], all that it
    /// has is dropped, and what its rings hold.
    pub fn awake(&mut self, now: Instant) {
        self.has_stood_still(now);
        self.pulse.last = Some(now);
    }

    /// Whether the worker has stood still until now: then all that it has is dropped.
    ///
    /// A worker that was never told that it runs is one whose time a test makes.
    #[inline]
    pub(crate) fn has_stood_still(&mut self, now: Instant) {
        if let Some(last) = self.pulse.last
            && let silent = now.saturating_duration_since(last)
            && silent > STANDSTILL
        {
            self.stand_still(silent, now);
        }
    }

    #[cold]
    fn stand_still(&mut self, silent: Duration, now: Instant) {
        self.device.forsake();
        while let Some(outgoing) = self.backlog.pop() {
            self.discard(outgoing, Drop::StoodStill);
        }
        while let Some(outgoing) = self.waiting.pop() {
            self.discard(outgoing, Drop::StoodStill);
        }
        self.drop_words(Drop::StoodStill, None);
        self.clear_holds(Drop::StoodStill);
        self.pulse = Pulse {
            last: Some(now),
            aftermath: Some(Aftermath {
                until: now + AFTERMATH,
                found: Arrived::at(&mut self.device),
                rings_clear: false,
            }),
        };
        self.totals.standstills += 1;
        let _ = self.port.events.try_send(Event::StoodStill(silent));
    }
}
