//! Sequence numbers of a manually keyed SA, reserved on disk before they are used.
//!
//! An SA with anti-replay keeps its counter across restarts (RFC 4303 section 3.3.3). With an AEAD, a
//! number that is used twice under one key also breaks the encryption. A role therefore reserves runs of
//! numbers: the end of a run is on disk before its first number is used. The unused numbers of a killed
//! process are lost.
//!
//! An older reservation must not be accepted in place of the latest, nor that of another key. The file
//! therefore contains, beside the number, its own inode and birth time, and a digest of the key. A copy has
//! another inode. A file restored from a backup contains the inode and birth time of the older file. A
//! replaced file that still exists under another name, by a link or a rename, is truncated. Each step checks
//! that the path still leads to the file of the step before.
//!
//! Not detected: a key file that was copied to another path or host with a reservation of its own; a file
//! system that was rolled back as a whole (a snapshot or a machine image); on a file system without birth
//! times, a restored file that got the inode of the older one; a file that is moved within the microseconds
//! between check and replacement. The first three need a new key.

mod error;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

pub use error::SequenceError;

use crate::file::{open_regular, sync_directory, with_suffix};
use crate::{Fingerprint, SaKey};

/// The longest reservation: three numbers of 20 digits, a digest, three spaces and a newline.
const MAX_TEXT: u64 = 64 + DIGEST as u64;
/// The hex digits of a key's digest.
const DIGEST: usize = 32;

/// The path of the reservation of a key file: the path of the key file and `.sequence`.
pub fn sequence_file(key_file: &Path) -> PathBuf {
    with_suffix(key_file, ".sequence")
}

/// Creates the reservation of a new key. The first number is 1 (RFC 4303 section 3.3.3).
///
/// # Errors
/// A reservation exists, or it cannot be written. Then no new file remains.
pub fn begin(key_file: &Path, key: &Fingerprint) -> io::Result<()> {
    let path = sequence_file(key_file);
    let file = create(&path)?;
    write(&file, 1, &digest(key))
        .and_then(|()| sync_directory(&path))
        .inspect_err(|_| {
            // This call created the file, and its key does not exist.
            let _ = fs::remove_file(&path);
        })
}

/// The next unreserved number of `key`, read without its lock.
///
/// # Errors
/// The reservation is missing, malformed, restored, another key's or unreadable.
pub fn peek(key_file: &Path, key: &SaKey) -> Result<u64, SequenceError> {
    let path = sequence_file(&canonical(key_file)?);
    let file = open(&path, OpenOptions::new().read(true))?;
    read(&file, &path, &digest(&key.fingerprint()))
}

/// The sequence numbers of one outbound SA. No other process can reserve any while this value exists.
#[derive(Debug)]
pub struct Reservation {
    key_file: PathBuf,
    path: PathBuf,
    /// The open file of the current reservation.
    file: File,
    next: u64,
    /// The digest of the key.
    digest: String,
    /// Holds the lock. The lock is on the key file, because each step replaces the file of the
    /// reservation, and its lock would stay with the old file.
    _lock: File,
}

impl Reservation {
    /// Locks `key_file`, which `key` was read from, for this process and reads its reservation.
    ///
    /// # Errors
    /// The key is in use, or its reservation is missing, malformed, restored, another key's or unreadable.
    pub fn open(key_file: &Path, key: &SaKey) -> Result<Self, SequenceError> {
        // A link to a key file and the file itself must have one reservation.
        let key_file = canonical(key_file)?;
        let lock = open_regular(OpenOptions::new().read(true), &key_file)
            .map_err(failed("cannot open", &key_file))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(SequenceError::InUse { key_file }),
            Err(error) => return Err(failed("cannot lock", &key_file)(error.into())),
        }
        let path = sequence_file(&key_file);
        let file = open(&path, OpenOptions::new().read(true).write(true))?;
        let digest = digest(&key.fingerprint());
        let next = read(&file, &path, &digest)?;
        Ok(Self {
            key_file,
            path,
            file,
            next,
            digest,
            _lock: lock,
        })
    }

    /// Reserves `count` numbers. They are marked as used on disk when this returns.
    ///
    /// # Errors
    /// The numbers are used up, the file was moved or replaced, or it cannot be written. Then no number is reserved.
    pub fn reserve(&mut self, count: u64) -> Result<Range<u64>, SequenceError> {
        let end = self
            .next
            .checked_add(count)
            .ok_or_else(|| SequenceError::Exhausted {
                key_file: self.key_file.clone(),
            })?;
        self.check_path()?;
        let fresh = replace(&self.path, end, &self.digest)?;
        let replaced = std::mem::replace(&mut self.file, fresh);
        // The old file may still exist under another name. It is truncated only after the new one is on
        // disk. A failure here is harmless, so it is no error.
        let _ = replaced.set_len(0);
        let reserved = self.next..end;
        self.next = end;
        Ok(reserved)
    }

    /// The next unreserved number.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Checks that the path leads to the open file. Otherwise it may hold the reservation of another key.
    fn check_path(&self) -> Result<(), SequenceError> {
        let moved = || SequenceError::Moved {
            path: self.path.clone(),
        };
        let own = self.file.metadata();
        let own = own.map_err(failed("cannot read", &self.path))?;
        let there = fs::symlink_metadata(&self.path).map_err(|_| moved())?;
        if (own.dev(), own.ino()) == (there.dev(), there.ino()) {
            Ok(())
        } else {
            Err(moved())
        }
    }
}

/// The identity of a file, which its name does not change and a copy does not have.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    inode: u64,
    /// Nanoseconds of Unix time; 0 if the file system does not store it. Needed because inodes are
    /// reused.
    birth: u128,
}

impl Identity {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let born = metadata.created().ok();
        let birth = born.and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
        Ok(Self {
            inode: metadata.ino(),
            birth: birth.map_or(0, |birth| birth.as_nanos()),
        })
    }
}

/// The digest of a key as it is stored: 128 bits.
fn digest(key: &Fingerprint) -> String {
    let mut digits = key.to_hex();
    digits.truncate(DIGEST);
    digits
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<File, SequenceError> {
    open_regular(options, path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SequenceError::Missing {
            path: path.to_owned(),
        },
        _ => failed("cannot open", path)(error),
    })
}

fn read(mut file: &File, path: &Path, digest: &str) -> Result<u64, SequenceError> {
    let malformed = || SequenceError::Malformed {
        path: path.to_owned(),
    };
    let length = file.metadata().map_err(failed("cannot read", path))?.len();
    if length > MAX_TEXT {
        return Err(malformed());
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)
        .map_err(failed("cannot read", path))?;
    let (next, identity, of) = parse(&text).ok_or_else(malformed)?;
    if identity != Identity::of(file).map_err(failed("cannot read", path))? {
        return Err(SequenceError::Restored {
            path: path.to_owned(),
        });
    }
    if of != digest {
        return Err(SequenceError::OtherKey {
            path: path.to_owned(),
        });
    }
    Ok(next)
}

fn parse(text: &[u8]) -> Option<(u64, Identity, &str)> {
    let text = std::str::from_utf8(text.strip_suffix(b"\n")?).ok()?;
    let mut numbers = text.split(' ');
    // `parse` would also accept a sign.
    let mut digits = || {
        let digits = numbers.next()?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then_some(digits)
    };
    let next = digits()?.parse().ok().filter(|&next| next > 0)?;
    let inode = digits()?.parse().ok()?;
    let birth = digits()?.parse().ok()?;
    let digest = numbers.next().filter(|digest| digest.len() == DIGEST)?;
    let end = numbers.next().is_none();
    end.then_some((next, Identity { inode, birth }, digest))
}

/// Replaces the file atomically: after a crash it has the old or the new number.
fn replace(path: &Path, next: u64, digest: &str) -> Result<File, SequenceError> {
    let temporary = with_suffix(path, ".new");
    // A file left by a crash is removed, not written: it could be a link to the reservation.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("cannot replace", &temporary)(error));
        }
        _ => {}
    }
    let file = create(&temporary).map_err(failed("cannot write", &temporary))?;
    write(&file, next, digest).map_err(failed("cannot write", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("cannot replace", path))?;
    sync_directory(path).map_err(failed("cannot flush the directory of", path))?;
    Ok(file)
}

/// Creates a new file, accessible to its owner only.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path)
}

/// Writes the next number, the identity and the digest into a new file, and flushes it to the disk.
fn write(mut file: &File, next: u64, digest: &str) -> io::Result<()> {
    let Identity { inode, birth } = Identity::of(file)?;
    file.write_all(format!("{next} {inode} {birth} {digest}\n").as_bytes())?;
    file.sync_all()
}

fn canonical(key_file: &Path) -> Result<PathBuf, SequenceError> {
    fs::canonicalize(key_file).map_err(failed("cannot open", key_file))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SequenceError {
    let path = path.to_owned();
    move |error| SequenceError::Io {
        action,
        path,
        error,
    }
}
