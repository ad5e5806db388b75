//! The state file (`rescale.state`): JSON that stores the peerings' tables across restarts.
//!
//! Both VPCs must use the same table. After the first change, the table in force differs from the configured one.
//! The file is replaced as a whole, and is on disk before the role uses its content. A damaged file prevents the
//! start: with a guessed table, a flow and its replies might take different gateways.

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

use causeway_keys::file::{open_regular, sync_directory, with_suffix};

pub use error::StateError;
pub use start::at_start;

/// Octets of the longest file. 16 peerings with two tables each need less than a quarter of it.
const LONGEST: u64 = 4 << 20;

/// The state of all peerings of one demux. A lock excludes other demuxes while this value exists.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    stored: StoredState,
    /// A lock on a file of its own. The state file is replaced at each step, and a lock on it would stay with the
    /// replaced file.
    _lock: File,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredState {
    peerings: BTreeMap<String, State>,
}

impl StateFile {
    /// Locks and reads the file. Creates it if it is absent, so that an unwritable directory is detected at the start
    /// and not by the first change.
    ///
    /// # Errors
    /// The file is damaged or in use, or an operation on the file system fails.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let lock = lock(path)?;
        let stored = read(path)?;
        let absent = stored.is_none();
        let file = Self {
            path: path.to_owned(),
            stored: stored.unwrap_or_default(),
            _lock: lock,
        };
        if absent {
            file.write()?;
        }
        Ok(file)
    }

    /// Reads the content of a file without a lock. An absent file is empty.
    ///
    /// # Errors
    /// The file is damaged or cannot be read.
    pub fn peek(path: &Path) -> Result<BTreeMap<String, State>, StateError> {
        Ok(read(path)?.unwrap_or_default().peerings)
    }

    pub fn stored(&self, peering: &str) -> Option<&State> {
        self.stored.peerings.get(peering)
    }

    /// Stores the state of a peering. It is on disk when this function returns.
    ///
    /// # Errors
    /// A write to the file system fails. The file then has its previous content.
    pub fn store(&mut self, peering: &str, state: State) -> Result<(), StateError> {
        let before = self.stored.peerings.insert(peering.to_owned(), state);
        self.write().inspect_err(|_| {
            match before {
                Some(before) => self.stored.peerings.insert(peering.to_owned(), before),
                None => self.stored.peerings.remove(peering),
            };
        })
    }

    fn write(&self) -> Result<(), StateError> {
        let temporary = with_suffix(&self.path, ".new");
        let written = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&temporary)?;
            let mut text = serde_json::to_vec(&self.stored)?;
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
    let lock_path = with_suffix(path, ".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options
        .open(&lock_path)
        .map_err(failed("cannot write", &lock_path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(StateError::InUse {
            path: path.to_owned(),
        }),
        Err(error) => Err(failed("cannot lock", &lock_path)(error.into())),
    }
}

fn read(path: &Path) -> Result<Option<StoredState>, StateError> {
    let file = match open_regular(OpenOptions::new().read(true), path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("cannot open", path)(error)),
    };
    let mut text = Vec::new();
    let mut bounded = file.take(LONGEST);
    bounded
        .read_to_end(&mut text)
        .map_err(failed("cannot read", path))?;
    let stored = serde_json::from_slice(&text).and_then(check_changes);
    stored.map(Some).map_err(|error| StateError::Damaged {
        path: path.to_owned(),
        error,
    })
}

/// Checks that each change in progress starts from the table in force.
fn check_changes(stored: StoredState) -> Result<StoredState, serde_json::Error> {
    for (peering, state) in &stored.peerings {
        let (current, change) = (state.table.id(), state.under_way.as_ref());
        if change.is_some_and(|change| change.table.id().before != current.digest) {
            return Err(serde_json::Error::custom(format_args!(
                "the change of peering {peering:?} does not start from its table"
            )));
        }
    }
    Ok(stored)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |error| StateError::Io {
        action,
        path,
        error,
    }
}
