//! A burst: each packet finds its path, and then all that are to be sealed are, and all that are to be opened.

use std::time::Instant;

use causeway_device::Device;
use causeway_steering::{Drop, Headers};

use crate::classify::{Class, classify, is_usual, unusual, usual};
use crate::stages::Stage;
use crate::worker::Worker;

impl<D: Device> Worker<D> {
    /// Takes a burst and finishes each packet, or drops it by name. Returns how many came.
    pub(crate) fn receive(&mut self, now: Instant) -> usize {
        // Back pressure: what the transmit ring did not take goes first. The receive ring fills
        // meanwhile, and the kernel counts what it then drops.
        if self.backlog.len() > self.burst {
            return 0;
        }
        let (mut worked_off, mut most) = (0, self.burst);
        if self.holds.is_releasing() {
            worked_off = self.work_off(now);
            // Fewer than go, so that the hold comes to its end whatever arrives for it.
            most /= 2;
        }
        // Taken out so that `self` can be lent; an empty Vec costs no allocation.
        let mut frames = std::mem::take(&mut self.received);
        self.timer.lap(Stage::Control, 0);
        let count = self.device.receive(&mut frames, most);
        self.timer.lap(Stage::Receive, count);
        if count > 0 {
            self.port.counters.profile.burst(count);
            self.timer.look(count, || self.device.occupancy());
        }
        self.totals.received += count as u64;
        if self.pulse.is_late(now) {
            self.totals.drops[Drop::StoodStill] += count as u64;
        } else {
            for place in 0..frames.len() {
                if let Err(reason) = self.forward(&mut frames, place, 0, now) {
                    self.totals.drops[reason] += 1;
                }
            }
            self.flush(&mut frames, now);
            if !self.keeping.is_empty() {
                self.keep(&mut frames);
            }
        }
        self.timer.lap(Stage::Forward, count);
        self.received = frames;
        self.totals.sas.retired += self.inbound.depart(&mut self.device);
        self.pulse.looked(&mut self.device);
        if !self.marks.is_empty() {
            self.seal_marks(now);
        }
        worked_off + count
    }

    /// Adds the packet at `place` of the burst to those that are to be sealed or opened, or to those
    /// that the hold keeps which is the first to do so from the place `holds` on.
    #[inline(always)]
    pub(crate) fn forward(
        &mut self,
        frames: &mut [D::Frame],
        place: usize,
        holds: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        let packet = self.device.bytes(&frames[place]);
        if is_usual(packet) {
            let headers = usual(packet)?;
            self.add(frames, place, headers, holds, now)
        } else {
            self.forward_unusual(frames, place, holds, now)
        }
    }

    #[inline(never)]
    fn forward_unusual(
        &mut self,
        frames: &mut [D::Frame],
        place: usize,
        holds: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        let headers = unusual(self.device.bytes(&frames[place]))?;
        self.add(frames, place, headers, holds, now)
    }

    #[inline(always)]
    fn add(
        &mut self,
        frames: &mut [D::Frame],
        place: usize,
        headers: Headers,
        holds: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        let packet = self.device.bytes(&frames[place]);
        match classify(packet, headers, self.address, &self.peer_prefixes)? {
            Class::Seal { headers, tunnel } => {
                if !self.holds.is_empty()
                    && let Some(hold) = self.hold_of(&frames[place], headers.l3, tunnel, holds)
                {
                    self.keeping.push((place, hold));
                    return Ok(());
                }
                self.add_to_seal(frames, place, headers, tunnel, now)
            }
            Class::Open { l3, esp, spi } => {
                self.add_to_open(frames, place, l3, esp, spi, now);
                Ok(())
            }
        }
    }

    /// Finishes the packets of the burst that are not finished yet: those to seal in their order, and those to open in
    /// theirs. A flow's packets are all of one SA, so nothing asks for an order between the two.
    pub(crate) fn flush(&mut self, frames: &mut [D::Frame], now: Instant) {
        self.timer.lap(Stage::Forward, 0);
        if !self.sealing.is_empty() {
            self.seal(frames, now);
        }
        if !self.opening.is_empty() {
            self.open(frames, now);
        }
    }

    /// Gives each of `packets` a frame of the same place among `outs`, as long as there are some, drops the others, and ends
    /// their runs before them.
    #[inline]
    pub(crate) fn give_frames<'a, P>(
        &mut self,
        outs: &mut Vec<D::Frame>,
        packets: &mut Vec<P>,
        ends: impl Iterator<Item = &'a mut u32>,
    ) {
        self.device.allocate_burst(outs, packets.len());
        if outs.len() < packets.len() {
            self.totals.drops[Drop::NoFrame] += (packets.len() - outs.len()) as u64;
            packets.truncate(outs.len());
            let there = packets.len() as u32;
            ends.for_each(|end| *end = there.min(*end));
        }
    }
}
