//! Holding back: the burst's packets that a hold keeps, and the return of released ones.

use std::time::Instant;

use causeway_device::Device;
use causeway_steering::{DropReason, FlowKey, Headers};

use crate::burst::Burst;
use crate::hold::{Holds, Released};
use crate::io::Io;
use crate::reply::Reply;

/// A worker's holds and the replies that wait for them.
pub(crate) struct HoldStage<F> {
    pub(crate) holds: Holds<F>,
    /// Holds before this index do not keep the packet that is classified: a released packet has passed them.
    first: usize,
    /// Replies that are sent when a hold has ended.
    replies: Vec<(u64, Reply<Released>)>,
}

impl<F> HoldStage<F> {
    /// Holds that keep at most `packets` packets together.
    pub(crate) fn new(packets: usize) -> Self {
        Self {
            holds: Holds::new(packets),
            first: 0,
            replies: Vec::new(),
        }
    }

    /// Whether no packet need be checked.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// The first hold that keeps the packet at the offset `l3` of its frame, which is for `tunnel`.
    #[cold]
    pub(crate) fn find(&self, frame: &[u8], l3: usize, tunnel: usize) -> Option<usize> {
        let headers = Headers::parse(frame, l3).ok()?;
        let flow = FlowKey::of(frame, &headers);
        self.holds
            .find(self.first, tunnel, |hash| hash.bucket(&flow))
    }

    /// Takes all frames out of the burst: keeps those that are held back, and releases the others.
    #[cold]
    pub(crate) fn keep<D: Device<Frame = F>>(&mut self, burst: &mut Burst<F>, io: &mut Io<D>) {
        let mut held_back = burst.queues.held_back.drain(..).peekable();
        for (index, frame) in burst.received.drain(..).enumerate() {
            let Some((_, hold)) = held_back.next_if(|&(kept, _)| kept == index) else {
                io.device.release(frame);
                continue;
            };
            match self.holds.keep(hold, frame) {
                Ok(()) => {
                    io.totals.waiting += 1;
                    io.totals.held += 1;
                }
                Err((frame, reason)) => {
                    io.device.release(frame);
                    io.totals.drops[reason] += 1;
                }
            }
        }
    }

    /// Moves the next released packet to the end of the burst. Returns whether there was one.
    pub(crate) fn next_released<D: Device<Frame = F>>(
        &mut self,
        burst: &mut Burst<F>,
        io: &mut Io<D>,
    ) -> bool {
        let Some((frame, first)) = self.holds.pop() else {
            return false;
        };
        self.first = first;
        io.totals.waiting -= 1;
        burst.received.push(frame);
        true
    }

    /// Ends a burst of released packets: received packets pass no hold, and replies are sent for holds that have ended.
    pub(crate) fn end_released(&mut self) {
        self.first = 0;
        while let Some((id, released)) = self.holds.end() {
            self.replies.retain(|(waits, reply)| {
                if *waits == id {
                    reply.send(Ok(released));
                }
                *waits != id
            });
        }
    }

    /// Releases a hold. The reply is sent when the hold has ended.
    pub(crate) fn release(&mut self, id: u64, reply: Reply<Released>) {
        match self.holds.release(id) {
            Ok(None) => self.replies.push((id, reply)),
            Ok(Some(released)) => reply.send(Ok(released)),
            Err(refused) => reply.send(Err(refused)),
        }
    }

    /// Applies the time limits of the holds.
    #[cold]
    pub(crate) fn expire<D: Device<Frame = F>>(&mut self, now: Instant, io: &mut Io<D>) {
        let drop = |frame| io.drop_kept(frame, DropReason::HoldExpired);
        let expired = self.holds.expire(now, drop);
        io.totals.holds_expired += expired;
    }

    /// Drops every held packet. The holds stay.
    pub(crate) fn clear<D: Device<Frame = F>>(&mut self, reason: DropReason, io: &mut Io<D>) {
        self.holds.clear(|frame| io.drop_kept(frame, reason));
    }
}
