//! Makes key files. An existing file is never overwritten: its key may be in use.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use causeway_esp::Cipher;
use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

use super::hex;
use crate::config::SteeringKey;
use crate::sequence::{begin, sequence_file, sync_directory};

/// Why a key file was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is a file of that name.
    #[error("{} exists and is not overwritten; choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{} cannot be made: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The kernel gave no random numbers.
    #[error("the kernel gave no random numbers: {0}")]
    Random(io::Error),
}

/// Makes a key for one SA at `path`, mode 0600, and its sequence reservation beside it, at 1: the
/// first packet of an SA has sequence number 1 (RFC 4303 section 3.3.3).
///
/// # Errors
/// One of the two files exists or cannot be written; then neither was made.
pub fn new_sa(path: &Path, cipher: Cipher) -> Result<(), CreateError> {
    // Not `path` itself: a reservation belongs to the file that a link leads to, and a new file
    // is no link.
    let sequence = sequence_file(path);
    if fs::symlink_metadata(path).is_ok() {
        return Err(exists(path));
    }
    // The reservation first: a key without one would be a file that nobody can use.
    begin(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(&sequence),
        _ => CreateError::Io {
            path: sequence.clone(),
            error,
        },
    })?;
    let made = random(cipher.key_len()).and_then(|octets| {
        let mut text = Zeroizing::new(String::with_capacity(64 + octets.len() * 2));
        text.push_str("cipher = \"");
        text.push_str(cipher.name());
        text.push_str("\"\nkey = \"");
        hex::encode(&octets, &mut text);
        text.push_str("\"\n");
        create(path, &text)
    });
    if made.is_err() {
        // Made by this call a moment ago, for a key that never came to be.
        let _ = fs::remove_file(&sequence);
    }
    made
}

/// Makes a steering key at `path`, mode 0600: 32 hex digits, to be copied to both VPCs.
///
/// # Errors
/// The file exists or cannot be written.
pub fn new_steering(path: &Path) -> Result<(), CreateError> {
    let octets = random(SteeringKey::LEN)?;
    let mut text = Zeroizing::new(String::with_capacity(SteeringKey::LEN * 2 + 1));
    hex::encode(&octets, &mut text);
    text.push('\n');
    create(path, &text)
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

/// Writes a new file, readable by its owner only, so that it survives a crash.
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
            // A file cut short must not pass for a key.
            let _ = fs::remove_file(path);
            failed(error)
        })
}

fn exists(path: &Path) -> CreateError {
    CreateError::Exists {
        path: path.to_owned(),
    }
}
