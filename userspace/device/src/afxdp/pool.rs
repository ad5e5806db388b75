//! A queue's UMEM with its fill ring and completion ring, which all workers of the queue share.
//!
//! Both rings have one producer and one consumer, so they stand behind a lock, which a worker
//! holds for a batch and never for a packet.
#![allow(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use xsk_rs::{CompQueue, FillQueue, FrameDesc, Umem};

use super::partition::Partition;
use crate::Level;

/// Completions that are taken from the ring at a time.
const BATCH: usize = 64;

/// What the workers on one queue share.
pub(super) struct Pool {
    pub(super) umem: Umem,
    pub(super) partition: Partition,
    /// Whether the UMEM stands on huge pages.
    pub(super) huge_pages: bool,
    rings: Mutex<Rings>,
}

/// The shared rings, held by one worker at a time.
pub(super) struct Rings {
    fill: FillQueue,
    completion: CompQueue,
    /// Completed frames that their worker has not fetched, by its number among those at home.
    completed: Box<[Vec<FrameDesc>]>,
    scratch: [FrameDesc; BATCH],
}

impl Pool {
    /// Shares the rings of a queue. `fill` and `completion` are those of the first socket that
    /// was bound with `umem`.
    pub(super) fn new(
        umem: Umem,
        partition: Partition,
        huge_pages: bool,
        (fill, completion): (FillQueue, CompQueue),
    ) -> Self {
        let completed = (0..partition.homes)
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

    /// The rings, after whoever holds them. A worker that panicked while it held them left every
    /// frame in exactly one place: moves between rings and lists cannot unwind half done.
    pub(super) fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rings, if nobody holds them.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Rings>> {
        match self.rings.try_lock() {
            Ok(rings) => Some(rings),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Pool {
    /// Frames that stand ready to receive into.
    pub(super) fn ready(&self) -> Level {
        let free = self.lock().fill.nb_free_exact();
        Level {
            entries: (self.partition.fill_ring() - free) as usize,
            room: self.partition.receive as usize,
        }
    }
}

impl Rings {
    /// Gives frames back to the kernel to receive into, and empties `frames`. Returns whether the
    /// driver sleeps and must be told.
    pub(super) fn refill(&mut self, frames: &mut Vec<FrameDesc>) -> bool {
        if frames.is_empty() {
            return false;
        }
        // SAFETY: the frames belong to this ring's UMEM, as only its ports put them here, and
        // the list owns them: their tokens were consumed. They are gone from the list below.
        let taken = unsafe { self.fill.produce(frames) };
        // The ring has a place for every frame that receives.
        assert_eq!(taken, frames.len(), "the fill ring is full");
        frames.clear();
        self.fill.needs_wakeup()
    }

    /// Takes all completed frames from the kernel, and hands those of worker `home` to `free`.
    pub(super) fn reclaim(
        &mut self,
        partition: &Partition,
        home: usize,
        free: &mut Vec<FrameDesc>,
    ) {
        loop {
            // SAFETY: the ring is of the sockets on this UMEM. What it hands out, the kernel has
            // done with, and each address goes to exactly one list.
            let count = unsafe { self.completion.consume(&mut self.scratch) };
            for desc in &self.scratch[..count] {
                self.completed[partition.home_of(desc.addr())].push(*desc);
            }
            if count < BATCH {
                break;
            }
        }
        free.append(&mut self.completed[home]);
    }
}
