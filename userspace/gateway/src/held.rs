//! A worker's holds: which packets it keeps, and how they go on.

use std::time::Instant;

use causeway_device::Device;
use causeway_steering::{Drop, FlowKey, Headers};

use crate::hold::{Hold, Released};
use crate::reply::{Refused, Reply};
use crate::worker::Worker;

impl<D: Device> Worker<D> {
    /// The place of the hold, from `from` on, that keeps the packet at `l3` of its frame, which would go into `tunnel`.
    #[cold]
    pub(crate) fn hold_of(
        &self,
        frame: &D::Frame,
        l3: usize,
        tunnel: usize,
        from: usize,
    ) -> Option<usize> {
        let packet = self.device.bytes(frame);
        let headers = Headers::parse(packet, l3).ok()?;
        let flow = FlowKey::of(packet, &headers);
        self.holds.find(from, tunnel, |hash| hash.bucket(&flow))
    }

    /// Takes the burst's frames that are to be held out of it, and releases the others.
    #[cold]
    pub(crate) fn keep(&mut self, frames: &mut Vec<D::Frame>) {
        let mut keeping = self.keeping.drain(..).peekable();
        for (place, frame) in frames.drain(..).enumerate() {
            let Some((_, hold)) = keeping.next_if(|&(kept, _)| kept == place) else {
                self.device.release(frame);
                continue;
            };
            match self.holds.keep(hold, frame) {
                Ok(()) => {
                    self.totals.waiting += 1;
                    self.totals.held += 1;
                }
                Err((frame, reason)) => {
                    self.device.release(frame);
                    self.totals.drops[reason] += 1;
                }
            }
        }
    }

    pub(crate) fn hold(&mut self, hold: Hold) -> Result<(), Refused> {
        let tunnel = hold.tunnel;
        if tunnel >= self.lanes.len() {
            return Err(Refused::NoSuchTunnel { tunnel });
        }
        self.holds.begin(hold)
    }

    pub(crate) fn release(&mut self, id: u64, reply: Reply<Released>) {
        match self.holds.release(id) {
            Ok(None) => self.releases.push((id, reply)),
            Ok(Some(over)) => reply.send(Ok(over)),
            Err(refused) => reply.send(Err(refused)),
        }
    }

    /// Forgets what a demux wanted of a tunnel that is not there any more.
    pub(crate) fn reset(&mut self, tunnel: usize) -> Result<(), Refused> {
        let lane = self.lanes.get_mut(tunnel);
        lane.ok_or(Refused::NoSuchTunnel { tunnel })?.fenced = false;
        self.holds.release_all(tunnel);
        Ok(())
    }

    /// Lets a burst of released packets go on, as if they had just been received, each unless a
    /// later hold keeps it. Returns how many.
    #[cold]
    pub(crate) fn work_off(&mut self, now: Instant) -> usize {
        // Taken out so that `self` can be lent; an empty Vec costs no allocation.
        let mut frames = std::mem::take(&mut self.released);
        while frames.len() < self.burst
            && let Some((frame, from)) = self.holds.pop()
        {
            self.totals.waiting -= 1;
            let place = frames.len();
            frames.push(frame);
            if let Err(reason) = self.forward(&mut frames, place, from, now) {
                self.totals.drops[reason] += 1;
            }
        }
        self.flush(&mut frames, now);
        let count = frames.len();
        self.keep(&mut frames);
        self.released = frames;
        while let Some((id, count)) = self.holds.end() {
            self.releases.retain(|(waits, reply)| {
                if *waits == id {
                    reply.send(Ok(count));
                }
                *waits != id
            });
        }
        count
    }

    /// Holds the holds against their time.
    #[cold]
    pub(crate) fn expire_holds(&mut self, now: Instant) {
        let mut expired = Vec::new();
        self.totals.holds_expired += self.holds.expire(now, |frame| expired.push(frame));
        self.drop_held(expired, Drop::HoldExpired);
    }

    /// Drops all that is held. The holds stay.
    pub(crate) fn clear_holds(&mut self, reason: Drop) {
        let mut cleared = Vec::new();
        self.holds.clear(|frame| cleared.push(frame));
        self.drop_held(cleared, reason);
    }

    fn drop_held(&mut self, frames: Vec<D::Frame>, reason: Drop) {
        let count = frames.len() as u64;
        frames
            .into_iter()
            .for_each(|frame| self.device.release(frame));
        self.totals.waiting -= count;
        self.totals.drops[reason] += count;
    }
}
