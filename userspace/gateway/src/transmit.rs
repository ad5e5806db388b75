//! Transmit: finished packets enter the transmit ring in their order.

use std::time::Instant;

use causeway_device::Device;
use hdrhistogram::Histogram;

use crate::counters::Totals;

/// A finished packet.
pub(crate) struct Outgoing<F> {
    pub(crate) frame: F,
    pub(crate) origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The result of a packet that was received at this time.
    Received(Instant),
    /// Originated by the worker: an ICMP error, a dummy, a marker, or a fragment other than its packet's last.
    Worker,
}

/// The transmit queue. Packets for which the ring has no room stay, in order.
pub(crate) struct Backlog<F> {
    frames: Vec<F>,
    /// The origins of `frames`, run-length encoded: the packets of a burst share one time of arrival.
    origins: Vec<(Origin, usize)>,
    /// The number of packets ever queued.
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

    /// The number of packets ever queued.
    pub(crate) fn queued(&self) -> u64 {
        self.count
    }

    /// The number of packets that have left, which they do in the order of queueing.
    pub(crate) fn left(&self) -> u64 {
        self.count - self.frames.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn push(&mut self, outgoing: Outgoing<F>) {
        self.frames.push(outgoing.frame);
        self.add_origin(outgoing.origin, 1);
    }

    /// Moves all of `frames`, the results of packets received at `arrived`, to the end of the queue.
    pub(crate) fn append(&mut self, frames: &mut Vec<F>, arrived: Instant) {
        if !frames.is_empty() {
            self.add_origin(Origin::Received(arrived), frames.len());
            self.frames.append(frames);
        }
    }

    fn add_origin(&mut self, origin: Origin, count: usize) {
        self.count += count as u64;
        match self.origins.last_mut() {
            Some((last, packets)) if *last == origin => *packets += count,
            _ => self.origins.push((origin, count)),
        }
    }

    /// Removes the newest packet.
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

    /// Moves packets into the transmit ring until it is full, counts them and records their latency. Returns their
    /// number.
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
