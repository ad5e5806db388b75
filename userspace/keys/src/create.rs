//! Creates key files. An existing file is never overwritten, since its key may be in use.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use causeway_esp::Cipher;
use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

use crate::file::sync_directory;
use crate::sequence::{begin, sequence_file};
use crate::{Fingerprint, SteeringKey};

/// A key file was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A file of that name exists.
    #[error("{} exists and is not overwritten; choose another name", path.display())]
    Exists { path: PathBuf },
    /// The file cannot be created or written.
    #[error("{} cannot be created: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    /// The kernel returned no random numbers.
    #[error("the kernel returned no random numbers: {0}")]
    Random(io::Error),
}

/// Creates the key of one SA at `path`, mode 0600, and its sequence reservation beside it. The
/// reservation starts at 1, the sequence number of an SA's first packet (RFC 4303 section 3.3.3).
///
/// # Errors
/// One of the two files exists or cannot be written. Then no file is created.
pub fn new_sa(path: &Path, cipher: Cipher) -> Result<(), CreateError> {
    // `path` needs no resolving here: it becomes a new file, not a link to another key.
    let sequence = sequence_file(path);
    if fs::symlink_metadata(path).is_ok() {
        return Err(exists(path));
    }
    let octets = random(cipher.key_len())?;
    // The reservation first: a key without one cannot be used.
    begin(path, &Fingerprint::of(&octets)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(&sequence),
        _ => CreateError::Io {
            path: sequence.clone(),
            error,
        },
    })?;
    let mut text = Zeroizing::new(String::with_capacity(64 + octets.len() * 2));
    text.push_str("cipher = \"");
    text.push_str(cipher.name());
    text.push_str("\"\nkey = \"");
    push_hex(&octets, &mut text);
    text.push_str("\"\n");
    let created = create(path, &text);
    if created.is_err() {
        // This call created the reservation, and its key does not exist.
        let _ = fs::remove_file(&sequence);
    }
    created
}

/// Creates a steering key at `path`, mode 0600: 32 hex digits. Both VPCs need the same key.
///
/// # Errors
/// The file exists or cannot be written.
pub fn new_steering(path: &Path) -> Result<(), CreateError> {
    let octets = random(SteeringKey::LEN)?;
    let mut text = Zeroizing::new(String::with_capacity(SteeringKey::LEN * 2 + 1));
    push_hex(&octets, &mut text);
    text.push('\n');
    create(path, &text)
}

/// Appends `octets` as hex digits. The caller reserves the capacity, since a growing string leaves copies in memory.
fn push_hex(octets: &[u8], text: &mut String) {
    let mut digits = Zeroizing::new(vec![0; octets.len() * 2]);
    let encoded = base16ct::lower::encode_str(octets, &mut digits);
    text.push_str(encoded.expect("two digits for each octet"));
}

fn random(len: usize) -> Result<Zeroizing<Vec<u8>>, CreateError> {
    let mut octets = Zeroizing::new(vec![0; len]);
    let mut filled = 0;
    while filled < len {
        filled += getrandom(&mut octets[filled..], GetRandomFlags::empty())
            .map_err(|error| CreateError::Random(error.into()))?;
    }
    Ok(octets)
}

/// Writes a new file, readable by its owner only, and flushes it to the disk.
fn create(path: &Path, text: &str) -> Result<(), CreateError> {
    let failed = |error| CreateError::Io {
        path: path.to_owned(),
        error,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => failed(error),
        })?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_directory(path))
        .map_err(|error| {
            // An incomplete file must not look like a key.
            let _ = fs::remove_file(path);
            failed(error)
        })
}

fn exists(path: &Path) -> CreateError {
    CreateError::Exists {
        path: path.to_owned(),
    }
}
