//! Which SAs run, and which keys have been seen.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use causeway_esp::{Lifetime, Spi, Stage};
use causeway_gateway::{Direction, Meter, Refused};
use causeway_steering::MAX_SAS;
use crossbeam::channel::Receiver;

use super::error::SaError;
use crate::key::{Fingerprint, SaKey};

/// Every SA of this host.
#[derive(Debug, Default)]
pub struct Book {
    entries: Vec<Entry>,
    /// Every key that was ever in use, also those of SAs that are gone: a receiver that started
    /// one anew would take packets of its first life again.
    keys: HashMap<Fingerprint, Spi>,
}

/// One SA.
#[derive(Debug)]
pub struct Entry {
    /// Its name on the wire.
    pub spi: Spi,
    /// Which way it carries.
    pub direction: Direction,
    /// The place of its worker among this host's.
    pub post: usize,
    /// The place of its tunnel among the worker's.
    pub tunnel: usize,
    /// What it has carried.
    pub meter: Arc<Meter>,
    /// When it came.
    pub installed: SystemTime,
    /// When a hard limit in time ends it.
    pub expires: Option<SystemTime>,
    /// Whether it is on its way out.
    pub leave: Leave,
}

/// How far an inbound SA is on its way out.
#[derive(Debug)]
pub enum Leave {
    /// It stays.
    No,
    /// It goes at this time.
    At(Instant),
    /// Nothing is steered to it any more since then.
    Unsteered(Instant),
    /// Its worker was told to drop it.
    Told(Receiver<Result<(), Refused>>),
}

impl Entry {
    /// An SA that is in use from now on.
    pub fn new(
        (spi, direction): (Spi, Direction),
        (post, tunnel): (usize, usize),
        meter: Arc<Meter>,
        lifetime: Lifetime,
    ) -> Self {
        let installed = SystemTime::now();
        Self {
            spi,
            direction,
            post,
            tunnel,
            meter,
            installed,
            expires: lifetime
                .hard
                .time
                .and_then(|time| installed.checked_add(time)),
            leave: Leave::No,
        }
    }

    /// Where it stands: one word for status and lists.
    pub fn state(&self) -> &'static str {
        match (&self.leave, self.meter.stage()) {
            (Leave::At(_), _) => "retiring",
            (Leave::Unsteered(_) | Leave::Told(_), _) => "draining",
            (Leave::No, Stage::Young) => "active",
            (Leave::No, Stage::Due) => "due",
            (Leave::No, Stage::Expired) => "expired",
        }
    }

    fn is(&self, direction: Direction, spi: Spi) -> bool {
        self.direction == direction && self.spi == spi
    }
}

impl Book {
    /// All SAs.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All SAs, to be changed.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// Notes an SA that runs now.
    pub fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The inbound SA of an SPI.
    pub fn inbound(&self, spi: Spi) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.is(Direction::Inbound, spi))
    }

    /// The same, to be changed.
    pub fn inbound_mut(&mut self, spi: Spi) -> Option<&mut Entry> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.is(Direction::Inbound, spi))
    }

    /// Forgets an inbound SA that is gone.
    pub fn remove_inbound(&mut self, spi: Spi) {
        self.entries
            .retain(|entry| !entry.is(Direction::Inbound, spi));
    }

    /// Notes that a tunnel sends on this SA instead of the one before.
    pub fn replace_outbound(&mut self, entry: Entry) {
        self.entries.retain(|old| {
            (old.direction, old.post, old.tunnel) != (Direction::Outbound, entry.post, entry.tunnel)
        });
        self.entries.push(entry);
    }

    /// Whether another inbound SA than this one of its tunnel stays.
    pub fn has_successor(&self, leaving: &Entry) -> bool {
        self.entries.iter().any(|other| {
            other.direction == Direction::Inbound
                && other.spi != leaving.spi
                && (other.post, other.tunnel) == (leaving.post, leaving.tunnel)
                && matches!(other.leave, Leave::No)
        })
    }

    /// Whether one more inbound SA fits into the XDP program's table.
    ///
    /// # Errors
    /// [`SaError::TooMany`].
    pub fn room(&self) -> Result<(), SaError> {
        let inbound = |entry: &&Entry| entry.direction == Direction::Inbound;
        let count = self.entries.iter().filter(inbound).count();
        if count < MAX_SAS as usize {
            Ok(())
        } else {
            Err(SaError::TooMany)
        }
    }

    /// Takes a key for an SA, for ever.
    ///
    /// # Errors
    /// [`SaError::KeyInUse`] if it was taken before.
    pub fn take_key(&mut self, key: &SaKey, spi: Spi, key_file: &Path) -> Result<(), SaError> {
        let fingerprint = key.fingerprint();
        match self.keys.get(&fingerprint) {
            Some(&spi) => Err(SaError::KeyInUse {
                key_file: key_file.to_owned(),
                spi,
            }),
            None => {
                self.keys.insert(fingerprint, spi);
                Ok(())
            }
        }
    }

    /// Gives a key back that no SA has used.
    pub fn give_key_back(&mut self, key: &SaKey) {
        self.keys.remove(&key.fingerprint());
    }
}
