//! Finished packets on their way into the transmit ring.

use std::time::Instant;

use causeway_device::Device;
use hdrhistogram::Histogram;

use crate::counters::Totals;

/// A finished packet and what must be known when it leaves.
pub(crate) struct Outgoing<F> {
    pub(crate) frame: F,
    pub(crate) origin: Origin,
}

/// Whose packet it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A received packet's result; it came with the batch of this time.
    Received(Instant),
    /// The worker's own: an ICMP error, a dummy, a marker, or a fragment that is not its packet's last.
    Worker,
}

/// Frames in the order in which they go out. What the ring does not take stays, in order.
pub(crate) struct Backlog<F> {
    frames: Vec<F>,
    origins: Vec<Origin>,
    /// How many have ever come.
    count: u64,
}

impl<F> Backlog<F> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            frames: Vec::with_capacity(capacity),
            origins: Vec::with_capacity(capacity),
            count: 0,
        }
    }

    /// How many have ever come.
    pub(crate) fn arrived(&self) -> u64 {
        self.count
    }

    /// How many of those have gone, in the order in which they came.
    pub(crate) fn gone(&self) -> u64 {
        self.count - self.frames.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn push(&mut self, outgoing: Outgoing<F>) {
        self.frames.push(outgoing.frame);
        self.origins.push(outgoing.origin);
        self.count += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<Outgoing<F>> {
        Some(Outgoing {
            frame: self.frames.pop()?,
            origin: self.origins.pop()?,
        })
    }

    /// Gives the ring what it takes; counts it, and records how long it was here. Returns how many
    /// frames went.
    pub(crate) fn transmit<D: Device<Frame = F>>(
        &mut self,
        device: &mut D,
        totals: &mut Totals,
        latency: &mut Histogram<u64>,
    ) -> usize {
        if self.frames.is_empty() {
            return 0;
        }
        let taken = device.transmit(&mut self.frames);
        let now = Instant::now();
        // A batch's packets share one time of arrival: one record each run.
        for run in self.origins[..taken].chunk_by(|a, b| a == b) {
            let count = run.len() as u64;
            match run[0] {
                Origin::Worker => totals.originated += count,
                Origin::Received(at) => {
                    let nanoseconds = now.saturating_duration_since(at).as_nanos();
                    latency.saturating_record_n(nanoseconds as u64, count);
                    totals.sent += count;
                    totals.waiting -= count;
                }
            }
        }
        self.origins.drain(..taken);
        taken
    }
}
