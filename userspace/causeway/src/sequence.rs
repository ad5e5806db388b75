//! Sequence numbers of a manually keyed SA, reserved on disk before they are used.
//!
//! RFC 4303 section 3.3.3: an SA with anti-replay keeps its counter across restarts; with an AEAD
//! a number used twice under one key also breaks the encryption. So a role takes numbers in runs:
//! the end of a run is on disk before its first number is used, and what a killed process did not
//! use is lost, never used again.
//!
//! An older reservation must not be taken for the latest. So the file says, beside the number, which
//! file it is: its inode and the time of its birth. A copy is another file, and what a backup puts
//! back into this one says that it is the file of back then. Whoever kept a file that was replaced
//! under another name, by a link or a rename, keeps an empty one.
//!
//! What this cannot see: a key file that was copied to another path or host with a reservation of
//! its own, and a file system that was rolled back as a whole (a snapshot, a machine's image): there
//! every file is the one it says. Both need a new key.

mod error;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

pub use error::SequenceError;

/// The longest text of a reservation: three numbers of 20 digits, two spaces and a newline.
const MAX_TEXT: u64 = 63;

/// The file that holds the reservation of a key file: its name and `.sequence`.
pub fn sequence_file(key_file: &Path) -> PathBuf {
    with_suffix(key_file, ".sequence")
}

/// Makes the reservation of a new key: no number is handed out yet, and the first is 1 (RFC 4303
/// section 3.3.3).
///
/// # Errors
/// There is one already, or the disk refuses; then none is left behind.
pub fn begin(key_file: &Path) -> io::Result<()> {
    let path = sequence_file(key_file);
    let file = create(&path)?;
    say(&file, 1)
        .and_then(|()| sync_directory(&path))
        .inspect_err(|_| {
            // Made by this call, for a key that never came to be.
            let _ = fs::remove_file(&path);
        })
}

/// The next number that was never handed out, without taking the key's lock.
///
/// # Errors
/// The reservation is missing, malformed, restored or unreadable.
pub fn peek(key_file: &Path) -> Result<u64, SequenceError> {
    let path = sequence_file(&canonical(key_file)?);
    read(&open(&path, OpenOptions::new().read(true))?, &path)
}

/// The sequence numbers of one outbound SA; nobody else can reserve any while this lives.
#[derive(Debug)]
pub struct Reservation {
    key_file: PathBuf,
    path: PathBuf,
    /// The reservation's file as it is now.
    file: File,
    next: u64,
    /// Holds the lock. The lock is on the key file, because the reservation's own file is
    /// replaced at each step and a lock would stay with the old one.
    _lock: File,
}

impl Reservation {
    /// Takes the key of `key_file` for this process and reads where its numbers stand.
    ///
    /// # Errors
    /// The key is in use, or its reservation is missing, malformed, restored or unreadable.
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
        let file = open(&path, OpenOptions::new().read(true).write(true))?;
        let next = read(&file, &path)?;
        Ok(Self {
            key_file,
            path,
            file,
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
        let fresh = replace(&self.path, end)?;
        let replaced = std::mem::replace(&mut self.file, fresh);
        // For whoever has it under another name. Not before the new one's name is on disk, and not
        // worth an error after that.
        let _ = replaced.set_len(0);
        let reserved = self.next..end;
        self.next = end;
        Ok(reserved)
    }

    /// The next number that was never handed out.
    pub fn next(&self) -> u64 {
        self.next
    }
}

/// What a file is, whatever its name: what a copy of it is not.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    inode: u64,
    /// Nanoseconds of Unix time; 0 where the file system does not keep it. Inodes are used again.
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

fn open(path: &Path, options: &OpenOptions) -> Result<File, SequenceError> {
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SequenceError::Missing {
            path: path.to_owned(),
        },
        _ => failed("cannot open", path)(error),
    })
}

fn read(mut file: &File, path: &Path) -> Result<u64, SequenceError> {
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
    let (next, identity) = parse(&text).ok_or_else(malformed)?;
    if identity != Identity::of(file).map_err(failed("cannot read", path))? {
        return Err(SequenceError::Restored {
            path: path.to_owned(),
        });
    }
    Ok(next)
}

fn parse(text: &[u8]) -> Option<(u64, Identity)> {
    let text = std::str::from_utf8(text.strip_suffix(b"\n")?).ok()?;
    let mut numbers = text.split(' ');
    // `parse` would take a sign as well.
    let mut digits = || {
        let digits = numbers.next()?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then_some(digits)
    };
    let next = digits()?.parse().ok().filter(|&next| next > 0)?;
    let inode = digits()?.parse().ok()?;
    let birth = digits()?.parse().ok()?;
    numbers
        .next()
        .is_none()
        .then_some((next, Identity { inode, birth }))
}

/// Replaces the file as a whole: after a crash the old or the new number stands there.
fn replace(path: &Path, next: u64) -> Result<File, SequenceError> {
    let temporary = with_suffix(path, ".new");
    // What a crash left is not written to: it could be a link to the file itself.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("cannot replace", &temporary)(error));
        }
        _ => {}
    }
    let file = create(&temporary).map_err(failed("cannot write", &temporary))?;
    say(&file, next).map_err(failed("cannot write", &temporary))?;
    fs::rename(&temporary, path).map_err(failed("cannot replace", path))?;
    sync_directory(path).map_err(failed("cannot flush the directory of", path))?;
    Ok(file)
}

/// Makes a file that is not there yet, open to its owner only.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path)
}

/// Writes into a new file what it is and where its numbers stand, and brings that to the disk.
fn say(mut file: &File, next: u64) -> io::Result<()> {
    let Identity { inode, birth } = Identity::of(file)?;
    file.write_all(format!("{next} {inode} {birth}\n").as_bytes())?;
    file.sync_all()
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

/// A file beside another one.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
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
