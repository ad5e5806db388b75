//! Sequence numbers of a manually keyed SA, reserved on disk before they are used.
//!
//! RFC 4303 section 3.3.3: an SA with anti-replay keeps its counter across restarts; with an AEAD
//! a number used twice under one key also breaks the encryption. So a role takes numbers in runs:
//! the end of a run is on disk before its first number is used, and what a killed process did not
//! use is lost, never used again.
//!
//! What this cannot see: a key file copied to another path or host, and a machine image rolled
//! back. Both need a new key.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The longest text of a reservation: 20 digits and a newline.
const MAX_TEXT: u64 = 21;

/// Why sequence numbers cannot be reserved. No variant carries key material.
#[derive(Debug, thiserror::Error)]
pub enum SequenceError {
    /// The key file or its reservation cannot be opened, read or written.
    #[error("{action} {}: {error}", path.display())]
    Io {
        /// What was tried, such as `cannot write`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// There is no reservation beside the key file.
    #[error(
        "{} is missing: the numbers that this key has used are unknown, and using one twice breaks \
         the encryption. Make a new key with `causeway key new` and copy it to the receiver \
         (only the sender has the .sequence file)",
        path.display()
    )]
    Missing {
        /// The file that is not there.
        path: PathBuf,
    },
    /// The reservation is not a decimal number from 1 to 2^64 - 1 and a newline.
    #[error(
        "{} is damaged: expected one decimal number from 1 on and a newline. The numbers that this \
         key has used are unknown; make a new key with `causeway key new`",
        path.display()
    )]
    Malformed {
        /// The damaged file.
        path: PathBuf,
    },
    /// Another process, or another SA of this one, holds the key.
    #[error(
        "{} is in use by another process or SA; one key belongs to one outbound SA",
        key_file.display()
    )]
    InUse {
        /// The key file.
        key_file: PathBuf,
    },
    /// The counter would cycle (RFC 4303 section 3.3.3).
    #[error(
        "the sequence numbers of {} are used up; make a new key with `causeway key new`",
        key_file.display()
    )]
    Exhausted {
        /// The key file.
        key_file: PathBuf,
    },
}

/// The file that holds the reservation of a key file: its name and `.sequence`.
pub fn sequence_file(key_file: &Path) -> PathBuf {
    with_suffix(key_file, ".sequence")
}

/// The next number that was never handed out, without taking the key's lock.
///
/// # Errors
/// The reservation is missing, malformed or unreadable.
pub fn peek(key_file: &Path) -> Result<u64, SequenceError> {
    let key_file = canonical(key_file)?;
    read(&sequence_file(&key_file))
}

/// The sequence numbers of one outbound SA; nobody else can reserve any while this lives.
#[derive(Debug)]
pub struct Reservation {
    key_file: PathBuf,
    path: PathBuf,
    next: u64,
    /// Holds the lock. The lock is on the key file, because the reservation's own file is
    /// replaced at each step and a lock would stay with the old one.
    _lock: File,
}

impl Reservation {
    /// Takes the key of `key_file` for this process and reads where its numbers stand.
    ///
    /// # Errors
    /// The key is in use, or its reservation is missing, malformed or unreadable.
    pub fn open(key_file: &Path) -> Result<Self, SequenceError> {
        // A link to a key is that key: both names must lead to one reservation.
        let key_file = canonical(key_file)?;
        let lock = File::open(&key_file).map_err(failed("cannot open", &key_file))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(SequenceError::InUse { key_file }),
            Err(error) => return Err(failed("cannot lock", &key_file)(error.into())),
        }
        let path = sequence_file(&key_file);
        let next = read(&path)?;
        Ok(Self {
            key_file,
            path,
            next,
            _lock: lock,
        })
    }

    /// Reserves `count` numbers. When this returns they are on disk as used.
    ///
    /// # Errors
    /// The numbers are used up, or the disk refused; then no number was handed out.
    pub fn reserve(&mut self, count: u64) -> Result<Range<u64>, SequenceError> {
        let end = self
            .next
            .checked_add(count)
            .ok_or_else(|| SequenceError::Exhausted {
                key_file: self.key_file.clone(),
            })?;
        write(&self.path, end)?;
        let reserved = self.next..end;
        self.next = end;
        Ok(reserved)
    }

    /// The next number that was never handed out.
    pub fn next(&self) -> u64 {
        self.next
    }
}

fn read(path: &Path) -> Result<u64, SequenceError> {
    let malformed = || SequenceError::Malformed {
        path: path.to_owned(),
    };
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SequenceError::Missing {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(failed("cannot read", path)(error)),
    };
    if length > MAX_TEXT {
        return Err(malformed());
    }
    let text = fs::read(path).map_err(failed("cannot read", path))?;
    let digits = text.strip_suffix(b"\n").ok_or_else(malformed)?;
    // `parse` would take a sign as well.
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .filter(|&next| next > 0)
        .ok_or_else(malformed)
}

/// Replaces the file as a whole: after a crash the old or the new number stands there.
fn write(path: &Path, next: u64) -> Result<(), SequenceError> {
    let temporary = with_suffix(path, ".new");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(format!("{next}\n").as_bytes())?;
            file.sync_all()
        })
        .map_err(failed("cannot write", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("cannot replace", path))?;
    sync_directory(path).map_err(failed("cannot flush the directory of", path))
}

/// Makes a new or renamed entry of a directory survive a crash of the machine.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

fn canonical(key_file: &Path) -> Result<PathBuf, SequenceError> {
    fs::canonicalize(key_file).map_err(failed("cannot open", key_file))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SequenceError {
    let path = path.to_owned();
    move |error| SequenceError::Io {
        action,
        path,
        error,
    }
}
