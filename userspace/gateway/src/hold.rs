//! Packets that are kept back while others, which came before them, are still on another way.
//!
//! Pure: it knows neither device nor worker, so that a simulation can hold with what production
//! holds with. A frame that comes out of it is the caller's to seal, or to drop by the name that
//! comes with it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use causeway_rescale::BucketSet;
use causeway_rescale::message::AtLimit;
use causeway_steering::{Drop, SteerHash};

use crate::reply::Refused;

/// Holds at a time: one for each batch of buckets that moves here, of all peerings.
const MOST: usize = 16;
/// Holds that are remembered when they are over, so that a command that comes late or twice does
/// not begin them again.
const REMEMBERED: usize = 256;
/// A hold that is so long over its time, and was not released, is let go: a release is said again
/// many times a second, so nobody is there any more who could say it.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// What is kept back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The tunnel's place in the configuration: packets that go into it.
    pub tunnel: usize,
    /// Names the hold.
    pub id: u64,
    /// The buckets whose packets are kept.
    pub buckets: BucketSet,
    /// What a packet's bucket is told by.
    pub hash: SteerHash,
    /// How long at most.
    pub until: Instant,
    /// What happens then. [`AtLimit::Drop`]: what is kept and what comes is [`Drop::HoldExpired`],
    /// until the release, so that nothing is sent which another packet may still precede.
    /// [`AtLimit::Send`]: it is released.
    pub at_limit: AtLimit,
}

/// What a hold has kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Packets that came for its buckets while it was there.
    pub packets: u64,
    /// Those of them that were dropped: for lack of room, of time, or because the worker stood
    /// still.
    pub dropped: u64,
}

/// All holds of a worker, and what they keep.
#[derive(Debug)]
pub struct Holds<F> {
    /// In the order in which they came: a bucket that two have is kept by the first.
    holds: Vec<Held<F>>,
    /// How many frames they may keep together.
    bound: usize,
    kept: usize,
    over: VecDeque<(u64, Released)>,
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
    /// Over its time, by [`AtLimit::Drop`].
    Overdue,
    /// Gone as soon as it keeps nothing.
    Releasing,
}

impl<F> Held<F> {
    fn has(&self, tunnel: usize, bucket: impl Fn(&SteerHash) -> u32) -> bool {
        self.hold.tunnel == tunnel && self.hold.buckets.contains(bucket(&self.hold.hash))
    }

    /// Drops what it keeps.
    fn clear(&mut self, kept: &mut usize, drop: impl FnMut(F)) {
        *kept -= self.frames.len();
        self.count.dropped += self.frames.len() as u64;
        self.frames.drain(..).for_each(drop);
    }
}

impl<F> Holds<F> {
    /// None, which may keep `bound` frames together.
    pub fn new(bound: usize) -> Self {
        Self {
            holds: Vec::with_capacity(MOST),
            bound,
            kept: 0,
            over: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// Whether there is none, and so nothing to look at for any packet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.holds.len()
    }

    /// Frames that they keep.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Begins a hold, unless it is there already.
    ///
    /// # Errors
    /// [`Refused::HoldIsOver`] if it went of late, [`Refused::TooManyHolds`].
    pub fn begin(&mut self, hold: Hold) -> Result<(), Refused> {
        let id = hold.id;
        if self.holds.iter().any(|held| held.hold.id == id) {
            return Ok(());
        }
        if self.over.iter().any(|&(over, _)| over == id) {
            return Err(Refused::HoldIsOver { id });
        }
        if self.holds.len() == MOST {
            return Err(Refused::TooManyHolds { most: MOST });
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

    /// The place of the first hold, from `place` on, that keeps the packets of a tunnel's `bucket`,
    /// which is told by a hold's own hash.
    pub fn find(
        &self,
        place: usize,
        tunnel: usize,
        bucket: impl Fn(&SteerHash) -> u32,
    ) -> Option<usize> {
        let mut held = self.holds.iter().enumerate().skip(place);
        let found = held.find(|(_, held)| held.has(tunnel, &bucket));
        found.map(|(place, _)| place)
    }

    /// Keeps a frame, whose hold [`Holds::find`] has found since the last change.
    ///
    /// # Errors
    /// The frame, with [`Drop::HoldFull`] or [`Drop::HoldExpired`].
    pub fn keep(&mut self, place: usize, frame: F) -> Result<(), (F, Drop)> {
        let held = &mut self.holds[place];
        held.count.packets += 1;
        let refused = if held.state == State::Overdue {
            Drop::HoldExpired
        } else if self.kept == self.bound {
            Drop::HoldFull
        } else {
            held.frames.push_back(frame);
            self.kept += 1;
            return Ok(());
        };
        held.count.dropped += 1;
        Err((frame, refused))
    }

    /// Lets go what a hold keeps. Answers what it has kept if it is over already.
    ///
    /// # Errors
    /// [`Refused::NoSuchHold`] if there is none and was none of late.
    pub fn release(&mut self, id: u64) -> Result<Option<Released>, Refused> {
        if let Some(held) = self.holds.iter_mut().find(|held| held.hold.id == id) {
            held.state = State::Releasing;
            return Ok(None);
        }
        let over = self.over.iter().find(|&&(over, _)| over == id);
        over.map(|&(_, count)| Some(count))
            .ok_or(Refused::NoSuchHold { id })
    }

    /// Lets go what the holds of a tunnel keep.
    pub fn release_all(&mut self, tunnel: usize) {
        for held in &mut self.holds {
            if held.hold.tunnel == tunnel {
                held.state = State::Releasing;
            }
        }
    }

    /// Whether a hold is on its way out, so that there is work to do.
    pub fn is_releasing(&self) -> bool {
        let mut held = self.holds.iter();
        held.any(|held| held.state == State::Releasing)
    }

    /// The next frame that may go, and the place of the hold behind the one that kept it: whether
    /// one from there on keeps it now is for [`Holds::find`] to tell. Frames of a bucket come in the order of
    /// their arrival.
    pub fn pop(&mut self) -> Option<(F, usize)> {
        for (place, held) in self.holds.iter_mut().enumerate() {
            if held.state == State::Releasing
                && let Some(frame) = held.frames.pop_front()
            {
                self.kept -= 1;
                return Some((frame, place + 1));
            }
        }
        None
    }

    /// Ends a hold that was released and keeps nothing any more: its id, and what it has kept.
    pub fn end(&mut self) -> Option<(u64, Released)> {
        let done = |held: &Held<F>| held.state == State::Releasing && held.frames.is_empty();
        let place = self.holds.iter().position(done)?;
        let held = self.holds.remove(place);
        let over = (held.hold.id, held.count);
        if self.over.len() == REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back(over);
        Some(over)
    }

    /// Looks at the holds' time; `drop` gets what is [`Drop::HoldExpired`]. Returns how many holds
    /// have come to their limit.
    pub fn expire(&mut self, now: Instant, mut drop: impl FnMut(F)) -> u64 {
        let mut expired = 0;
        for held in &mut self.holds {
            let until = held.hold.until;
            match (held.state, held.hold.at_limit) {
                (State::Holding, AtLimit::Send) if now >= until => {
                    held.state = State::Releasing;
                    expired += 1;
                }
                (State::Holding, AtLimit::Drop) if now >= until => {
                    held.state = State::Overdue;
                    held.clear(&mut self.kept, &mut drop);
                    expired += 1;
                }
                (State::Overdue, _) if now >= until + FORGOTTEN => held.state = State::Releasing,
                _ => {}
            }
        }
        expired
    }

    /// Gives up all that is kept. The holds stay.
    pub fn clear(&mut self, mut drop: impl FnMut(F)) {
        for held in &mut self.holds {
            held.clear(&mut self.kept, &mut drop);
        }
    }
}
