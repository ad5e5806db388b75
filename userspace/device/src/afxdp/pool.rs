//! A queue's UMEM with its fill ring and completion ring. All workers of the queue share them.
//!
//! Each of the two rings has one producer and one consumer. A lock therefore protects them. A worker holds it for a
//! burst, never for a single packet.
#![allow(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use xsk_rs::{CompQueue, FillQueue, FrameDesc, Umem};

use super::partition::Partition;
use crate::diagnostics::Level;

/// The number of completions taken from the ring at a time.
const BATCH: usize = 64;

/// The state that the workers of one queue share.
pub(super) struct Pool {
    pub(super) umem: Umem,
    pub(super) partition: Partition,
    /// Whether the UMEM consists of huge pages.
    pub(super) huge_pages: bool,
    rings: Mutex<Rings>,
}

/// The shared rings, held by one worker at a time.
pub(super) struct Rings {
    fill: FillQueue,
    completion: CompQueue,
    /// Completed frames that their worker has not fetched, by the worker's number among the queue's transmitters.
    completed: Box<[Vec<FrameDesc>]>,
    scratch: [FrameDesc; BATCH],
}

impl Pool {
    /// `fill` and `completion` are the rings of the first socket that was bound with `umem`.
    pub(super) fn new(
        umem: Umem,
        partition: Partition,
        huge_pages: bool,
        (fill, completion): (FillQueue, CompQueue),
    ) -> Self {
        let completed = (0..partition.transmitters)
            .map(|_| Vec::with_capacity(partition.quota as usize))
            .collect();
        Self {
            umem,
            partition,
            huge_pages,
            rings: Mutex::new(Rings {
                fill,
                completion,
                completed,
                scratch: [FrameDesc::default(); BATCH],
            }),
        }
    }

    /// Locks the rings. A poisoned lock is usable: frames move between rings and lists without a point at which a panic
    /// could leave one in two places or in none.
    pub(super) fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the rings, unless another worker holds the lock.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Rings>> {
        match self.rings.try_lock() {
            Ok(rings) => Some(rings),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The fill level of the fill ring.
    pub(super) fn fill_level(&self) -> Level {
        let free = self.lock().fill.nb_free_exact();
        Level {
            entries: (self.partition.fill_ring() - free) as usize,
            room: self.partition.receive as usize,
        }
    }
}

impl Rings {
    /// Moves `frames` to the fill ring and leaves the list empty. Returns whether the driver sleeps and needs a wake-up.
    pub(super) fn refill(&mut self, frames: &mut Vec<FrameDesc>) -> bool {
        if frames.is_empty() {
            return false;
        }
        // SAFETY: the frames belong to this ring's UMEM, since only its sockets put them here. The
        // list owns them: their tokens were consumed, and the list is cleared below.
        let taken = unsafe { self.fill.produce(frames) };
        // The ring has an entry for every receive frame.
        assert_eq!(taken, frames.len(), "the fill ring is full");
        frames.clear();
        self.fill.needs_wakeup()
    }

    /// Takes all completed frames from the kernel and appends those of worker `transmitter` to `free`.
    pub(super) fn reclaim(
        &mut self,
        partition: &Partition,
        transmitter: usize,
        free: &mut Vec<FrameDesc>,
    ) {
        loop {
            // SAFETY: the ring belongs to the sockets on this UMEM. The kernel no longer uses the
            // frames that it returns, and each address goes to exactly one list.
            let count = unsafe { self.completion.consume(&mut self.scratch) };
            for desc in &self.scratch[..count] {
                self.completed[partition.transmitter_of(desc.addr())].push(*desc);
            }
            if count < BATCH {
                break;
            }
        }
        free.append(&mut self.completed[transmitter]);
    }
}
