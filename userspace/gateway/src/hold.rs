//! Holds: packets of some buckets are kept back while earlier packets of these buckets still travel another path.
//!
//! This module depends on neither device nor worker, so that a simulation runs the code of production. The caller seals
//! the frames that leave a hold, or drops them for the reason that is returned.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use causeway_rescale::BucketSet;
use causeway_rescale::message::HoldTimeoutAction;
use causeway_steering::{DropReason, SteerHash};

use crate::reply::Refused;

/// Holds at a time: one for each group of buckets that moves to this gateway, of all peerings.
const MAX_HOLDS: usize = 16;
/// Ended holds that are remembered, so that a late or repeated command does not begin them again.
const REMEMBERED: usize = 256;
/// A hold that was not released for so long after its time limit ends by itself. A release is repeated many times per
/// second, so its sender is gone.
const ABANDONED_AFTER: Duration = Duration::from_secs(10);

/// A hold: which packets are kept back, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The index in the configuration of the tunnel whose outbound packets are kept.
    pub tunnel: usize,
    /// The id of the hold in commands.
    pub id: u64,
    /// The buckets whose packets are kept.
    pub buckets: BucketSet,
    /// The hash that gives a packet's bucket.
    pub hash: SteerHash,
    /// The time limit.
    pub until: Instant,
    /// The action at the time limit. [`HoldTimeoutAction::Drop`]: held and arriving packets are
    /// [`DropReason::HoldExpired`] until the release, so that no packet overtakes an earlier one.
    /// [`HoldTimeoutAction::Send`]: the hold is released.
    pub hold_timeout_action: HoldTimeoutAction,
}

/// The counts of an ended hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Packets that arrived for the hold's buckets.
    pub packets: u64,
    /// Packets among them that were dropped: the hold was full or expired, or the worker stalled.
    pub dropped: u64,
}

/// All holds of a worker, with the frames that they keep.
#[derive(Debug)]
pub struct Holds<F> {
    /// In the order of their commands: the first hold that has a packet's bucket keeps the packet.
    holds: Vec<Held<F>>,
    /// The most frames that all holds keep together.
    bound: usize,
    kept: usize,
    /// The last holds that ended.
    ended: VecDeque<(u64, Released)>,
}

#[derive(Debug)]
struct Held<F> {
    hold: Hold,
    /// In the order of their arrival.
    frames: VecDeque<F>,
    count: Released,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Holding,
    /// Past its time limit, with [`HoldTimeoutAction::Drop`].
    Expired,
    /// Ends as soon as it keeps no frame.
    Releasing,
}

impl<F> Held<F> {
    fn has(&self, tunnel: usize, bucket: impl Fn(&SteerHash) -> u32) -> bool {
        self.hold.tunnel == tunnel && self.hold.buckets.contains(bucket(&self.hold.hash))
    }

    /// Drops all frames.
    fn clear(&mut self, kept: &mut usize, drop: impl FnMut(F)) {
        *kept -= self.frames.len();
        self.count.dropped += self.frames.len() as u64;
        self.frames.drain(..).for_each(drop);
    }
}

impl<F> Holds<F> {
    /// No holds yet; later ones keep at most `bound` frames together.
    pub fn new(bound: usize) -> Self {
        Self {
            holds: Vec::with_capacity(MAX_HOLDS),
            bound,
            kept: 0,
            ended: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// Whether there is no hold, so that no packet need be checked.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// The number of holds.
    pub fn len(&self) -> usize {
        self.holds.len()
    }

    /// The number of frames that all holds keep.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Begins a hold, unless one with its id exists.
    ///
    /// # Errors
    /// [`Refused::HoldEnded`] if a hold with its id ended recently, [`Refused::TooManyHolds`].
    pub fn begin(&mut self, hold: Hold) -> Result<(), Refused> {
        let id = hold.id;
        if self.holds.iter().any(|held| held.hold.id == id) {
            return Ok(());
        }
        if self.ended.iter().any(|&(ended, _)| ended == id) {
            return Err(Refused::HoldEnded { id });
        }
        if self.holds.len() == MAX_HOLDS {
            return Err(Refused::TooManyHolds { most: MAX_HOLDS });
        }
        self.holds.push(Held {
            hold,
            // So that keeping a frame allocates nothing.
            frames: VecDeque::with_capacity(self.bound),
            count: Released::default(),
            state: State::Holding,
        });
        Ok(())
    }

    /// The index of the first hold, from `first` on, that keeps a packet of this tunnel. `bucket` gives the packet's
    /// bucket under the hash of a hold.
    pub fn find(
        &self,
        first: usize,
        tunnel: usize,
        bucket: impl Fn(&SteerHash) -> u32,
    ) -> Option<usize> {
        let mut held = self.holds.iter().enumerate().skip(first);
        let found = held.find(|(_, held)| held.has(tunnel, &bucket));
        found.map(|(index, _)| index)
    }

    /// Keeps a frame in the hold at `index`, which [`Holds::find`] returned since the last change.
    ///
    /// # Errors
    /// The frame, with [`DropReason::HoldFull`] or [`DropReason::HoldExpired`].
    pub fn keep(&mut self, index: usize, frame: F) -> Result<(), (F, DropReason)> {
        let held = &mut self.holds[index];
        held.count.packets += 1;
        let refused = if held.state == State::Expired {
            DropReason::HoldExpired
        } else if self.kept == self.bound {
            DropReason::HoldFull
        } else {
            held.frames.push_back(frame);
            self.kept += 1;
            return Ok(());
        };
        held.count.dropped += 1;
        Err((frame, refused))
    }

    /// Releases a hold. Returns its counts if it has ended before.
    ///
    /// # Errors
    /// [`Refused::NoSuchHold`] if no hold with this id exists or ended recently.
    pub fn release(&mut self, id: u64) -> Result<Option<Released>, Refused> {
        if let Some(held) = self.holds.iter_mut().find(|held| held.hold.id == id) {
            held.state = State::Releasing;
            return Ok(None);
        }
        let ended = self.ended.iter().find(|&&(ended, _)| ended == id);
        ended
            .map(|&(_, count)| Some(count))
            .ok_or(Refused::NoSuchHold { id })
    }

    /// Releases all holds of a tunnel.
    pub fn release_all(&mut self, tunnel: usize) {
        for held in &mut self.holds {
            if held.hold.tunnel == tunnel {
                held.state = State::Releasing;
            }
        }
    }

    /// Whether a hold is being released, so that there is work to do.
    pub fn is_releasing(&self) -> bool {
        let mut held = self.holds.iter();
        held.any(|held| held.state == State::Releasing)
    }

    /// Removes the next released frame. Also returns the index behind its hold: [`Holds::find`] from there on returns the
    /// hold that keeps it again, if any. Frames of a bucket leave in the order of their arrival.
    pub fn pop(&mut self) -> Option<(F, usize)> {
        for (index, held) in self.holds.iter_mut().enumerate() {
            if held.state == State::Releasing
                && let Some(frame) = held.frames.pop_front()
            {
                self.kept -= 1;
                return Some((frame, index + 1));
            }
        }
        None
    }

    /// Ends one released hold that keeps no frame any more. Returns its id and counts.
    pub fn end(&mut self) -> Option<(u64, Released)> {
        let done = |held: &Held<F>| held.state == State::Releasing && held.frames.is_empty();
        let index = self.holds.iter().position(done)?;
        let held = self.holds.remove(index);
        let ended = (held.hold.id, held.count);
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
        Some(ended)
    }

    /// Applies the time limits; `drop` gets the frames that are [`DropReason::HoldExpired`]. Returns the number of holds
    /// that have reached their limit now.
    pub fn expire(&mut self, now: Instant, mut drop: impl FnMut(F)) -> u64 {
        let mut expired = 0;
        for held in &mut self.holds {
            let until = held.hold.until;
            match (held.state, held.hold.hold_timeout_action) {
                (State::Holding, HoldTimeoutAction::Send) if now >= until => {
                    held.state = State::Releasing;
                    expired += 1;
                }
                (State::Holding, HoldTimeoutAction::Drop) if now >= until => {
                    held.state = State::Expired;
                    held.clear(&mut self.kept, &mut drop);
                    expired += 1;
                }
                (State::Expired, _) if now >= until + ABANDONED_AFTER => {
                    held.state = State::Releasing
                }
                _ => {}
            }
        }
        expired
    }

    /// Drops all frames. The holds stay.
    pub fn clear(&mut self, mut drop: impl FnMut(F)) {
        for held in &mut self.holds {
            held.clear(&mut self.kept, &mut drop);
        }
    }
}
