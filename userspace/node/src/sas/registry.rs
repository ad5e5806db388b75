//! The SAs in use, and the keys that were ever in use.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use causeway_esp::{Lifetime, LifetimeState, Spi};
use causeway_gateway::{Direction, Meter, Refused};
use causeway_steering::MAX_SAS;
use crossbeam::channel::Receiver;

use causeway_api::status;

use super::error::SaError;
use causeway_keys::{Fingerprint, SaKey};

/// The SAs of this host.
#[derive(Debug, Default)]
pub struct SaRegistry {
    entries: Vec<Entry>,
    /// Every key that was ever in use, including those of retired SAs. An inbound SA that reused a key would accept replayed
    /// packets of the retired SA.
    keys: HashMap<Fingerprint, Spi>,
}

/// One SA.
#[derive(Debug)]
pub struct Entry {
    pub spi: Spi,
    pub direction: Direction,
    /// The index of the worker among the workers of this host.
    pub worker: usize,
    /// The index of the tunnel among the tunnels of the worker.
    pub tunnel: usize,
    pub meter: Arc<Meter>,
    pub installed: SystemTime,
    /// The time at which the hard limit of the lifetime ends the SA.
    pub expires: Option<SystemTime>,
    pub retirement: Retirement,
}

/// The progress of an inbound SA's retirement.
#[derive(Debug)]
pub enum Retirement {
    None,
    /// It begins at this time.
    At(Instant),
    /// The XDP program has not steered packets to the SA since this time.
    Unsteered(Instant),
    /// The worker was requested to drop the SA.
    Requested(Receiver<Result<(), Refused>>),
}

impl Entry {
    /// An SA that was just installed.
    pub fn new(
        (spi, direction): (Spi, Direction),
        (worker, tunnel): (usize, usize),
        meter: Arc<Meter>,
        lifetime: Lifetime,
    ) -> Self {
        let installed = SystemTime::now();
        Self {
            spi,
            direction,
            worker,
            tunnel,
            meter,
            installed,
            expires: lifetime
                .hard
                .time
                .and_then(|time| installed.checked_add(time)),
            retirement: Retirement::None,
        }
    }

    /// The state of the SA, as status and lists show it.
    pub fn state(&self) -> &'static str {
        match (&self.retirement, self.meter.lifetime_state()) {
            (Retirement::At(_), _) => "retiring",
            (Retirement::Unsteered(_) | Retirement::Requested(_), _) => "draining",
            (Retirement::None, LifetimeState::Active) => "active",
            (Retirement::None, LifetimeState::Due) => "due",
            (Retirement::None, LifetimeState::Expired) => "expired",
        }
    }

    fn is(&self, direction: Direction, spi: Spi) -> bool {
        self.direction == direction && self.spi == spi
    }
}

impl SaRegistry {
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// Adds an SA that is in use.
    pub fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// The inbound SA with this SPI.
    pub fn inbound(&self, spi: Spi) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.is(Direction::Inbound, spi))
    }

    /// The inbound SA with this SPI.
    pub fn inbound_mut(&mut self, spi: Spi) -> Option<&mut Entry> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.is(Direction::Inbound, spi))
    }

    /// Removes an inbound SA that was retired.
    pub fn remove_inbound(&mut self, spi: Spi) {
        self.entries
            .retain(|entry| !entry.is(Direction::Inbound, spi));
    }

    /// Replaces the outbound SA of a tunnel.
    pub fn replace_outbound(&mut self, entry: Entry) {
        self.entries.retain(|old| {
            (old.direction, old.worker, old.tunnel)
                != (Direction::Outbound, entry.worker, entry.tunnel)
        });
        self.entries.push(entry);
    }

    /// Whether the tunnel of this inbound SA has another inbound SA that is not being retired.
    pub fn has_successor(&self, retiring: &Entry) -> bool {
        self.entries.iter().any(|other| {
            other.direction == Direction::Inbound
                && other.spi != retiring.spi
                && (other.worker, other.tunnel) == (retiring.worker, retiring.tunnel)
                && matches!(other.retirement, Retirement::None)
        })
    }

    /// Checks that the XDP program's table has room for one more inbound SA.
    ///
    /// # Errors
    /// [`SaError::TooMany`].
    pub fn check_capacity(&self) -> Result<(), SaError> {
        let inbound = |entry: &&Entry| entry.direction == Direction::Inbound;
        let count = self.entries.iter().filter(inbound).count();
        if count < MAX_SAS as usize {
            Ok(())
        } else {
            Err(SaError::TooMany)
        }
    }

    /// Records that an SA uses this key. The record remains after the SA has been retired.
    ///
    /// # Errors
    /// [`SaError::KeyInUse`] if the key was recorded before.
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

    /// Removes the record of a key that no SA has used.
    pub fn release_key(&mut self, key: &SaKey) {
        self.keys.remove(&key.fingerprint());
    }
}

/// The direction in the status document.
pub fn direction(direction: Direction) -> status::Direction {
    match direction {
        Direction::Outbound => status::Direction::Outbound,
        Direction::Inbound => status::Direction::Inbound,
    }
}
