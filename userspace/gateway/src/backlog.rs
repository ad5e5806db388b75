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
    /// Whose they are: so many, one after the other, of each. A burst's packets share one time of arrival.
    origins: Vec<(Origin, usize)>,
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
        self.note(outgoing.origin, 1);
    }

    /// Takes all of `frames`, which are received packets' results, in their order.
    pub(crate) fn append(&mut self, frames: &mut Vec<F>, arrived: Instant) {
        if !frames.is_empty() {
            self.note(Origin::Received(arrived), frames.len());
            self.frames.append(frames);
        }
    }

    fn note(&mut self, origin: Origin, count: usize) {
        self.count += count as u64;
        match self.origins.last_mut() {
            Some((last, known)) if *last == origin => *known += count,
            _ => self.origins.push((origin, count)),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Outgoing<F>> {
        let frame = self.frames.pop()?;
        let (origin, count) = self.origins.last_mut()?;
        let origin = *origin;
        *count -= 1;
        if *count == 0 {
            self.origins.pop();
        }
        Some(Outgoing { frame, origin })
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
        let (mut left, mut done) = (taken, 0);
        for (origin, count) in &mut self.origins {
            let went = left.min(*count);
            let record = went as u64;
            match *origin {
                Origin::Worker => totals.originated += record,
                Origin::Received(at) => {
                    let nanoseconds = now.saturating_duration_since(at).as_nanos();
                    latency.saturating_record_n(nanoseconds as u64, record);
                    totals.sent += record;
                    totals.waiting -= record;
                }
            }
            left -= went;
            *count -= went;
            if *count > 0 {
                break;
            }
            done += 1;
        }
        self.origins.drain(..done);
        taken
    }
}
