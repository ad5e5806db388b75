//! The file that keeps the peerings' tables across restarts (`rescale.state`), JSON.
//!
//! Both VPCs must steer by one table, and after the first change no configuration says which. So the
//! file is replaced as a whole and is on the disk before anything goes by it; one that is damaged
//! stops the start, since a table that was guessed would send flows and answers different ways.

mod error;
mod start;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use causeway_rescale::coordinator::State;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::sequence::{sync_directory, with_suffix};

pub use error::StateError;
pub use start::at_start;

/// Octets of the longest file: 16 peerings with two tables each are less than a quarter.
const LONGEST: u64 = 4 << 20;

/// The state of all peerings of one demux; no other demux can have it while this lives.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    kept: Kept,
    /// Beside the file, which is replaced at each step, so that a lock on it would stay with the
    /// old one.
    _lock: File,
}

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    peerings: BTreeMap<String, State>,
}

impl StateFile {
    /// Takes the file for this process, and reads it; makes it if it is not there, so that a
    /// directory in which it cannot be is found out before a change needs it.
    ///
    /// # Errors
    /// It is damaged or in use, or the disk refuses.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let lock = lock(path)?;
        let kept = read(path)?;
        let absent = kept.is_none();
        let file = Self {
            path: path.to_owned(),
            kept: kept.unwrap_or_default(),
            _lock: lock,
        };
        if absent {
            file.write()?;
        }
        Ok(file)
    }

    /// What a file holds, for somebody who does not take it: nothing if it is not there.
    ///
    /// # Errors
    /// It is damaged, or cannot be read.
    pub fn glance(path: &Path) -> Result<BTreeMap<String, State>, StateError> {
        Ok(read(path)?.unwrap_or_default().peerings)
    }

    /// What was stored of a peering.
    pub fn kept(&self, peering: &str) -> Option<&State> {
        self.kept.peerings.get(peering)
    }

    /// Stores a peering's state. When this returns it is on the disk.
    ///
    /// # Errors
    /// The disk refuses; then what was stored before is what the next start finds.
    pub fn store(&mut self, peering: &str, state: State) -> Result<(), StateError> {
        let before = self.kept.peerings.insert(peering.to_owned(), state);
        self.write().inspect_err(|_| {
            match before {
                Some(before) => self.kept.peerings.insert(peering.to_owned(), before),
                None => self.kept.peerings.remove(peering),
            };
        })
    }

    fn write(&self) -> Result<(), StateError> {
        let temporary = with_suffix(&self.path, ".new");
        let written = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&temporary)?;
            let mut text = serde_json::to_vec(&self.kept)?;
            text.push(b'\n');
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            sync_directory(&self.path)
        };
        written().map_err(failed("cannot write", &self.path))
    }
}

fn lock(path: &Path) -> Result<File, StateError> {
    let beside = with_suffix(path, ".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options
        .open(&beside)
        .map_err(failed("cannot write", &beside))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(StateError::InUse {
            path: path.to_owned(),
        }),
        Err(error) => Err(failed("cannot lock", &beside)(error.into())),
    }
}

fn read(path: &Path) -> Result<Option<Kept>, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("cannot open", path)(error)),
    };
    let mut text = Vec::new();
    let mut bounded = file.take(LONGEST);
    bounded
        .read_to_end(&mut text)
        .map_err(failed("cannot read", path))?;
    let kept = serde_json::from_slice(&text).and_then(coherent);
    kept.map(Some).map_err(|error| StateError::Damaged {
        path: path.to_owned(),
        error,
    })
}

/// A change leads to the epoch after the one in force.
fn coherent(kept: Kept) -> Result<Kept, serde_json::Error> {
    for (peering, state) in &kept.peerings {
        let (now, then) = (state.table.id(), state.under_way.as_ref());
        if then.is_some_and(|then| then.table.id().before != now.digest) {
            return Err(serde_json::Error::custom(format_args!(
                "the change of peering {peering:?} does not begin at its table"
            )));
        }
    }
    Ok(kept)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |error| StateError::Io {
        action,
        path,
        error,
    }
}
