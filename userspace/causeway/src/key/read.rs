//! Reads key files. An error names the file and the fault, never the content.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use causeway_esp::{Cipher, Key};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use zeroize::Zeroizing;

use super::hex;
use crate::config::SteeringKey;

/// No key file is longer, in bytes.
const MAX_FILE: u64 = 4096;

/// Why a key file was refused. No variant carries what stands in the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be opened or read.
    #[error("{} cannot be read: {error}", path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// It is a directory, a device or far too long.
    #[error("{} is not a key file: expected a regular file of at most {MAX_FILE} bytes", path.display())]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// Group or others have rights on it.
    #[error(
        "{} can be read by others than its owner (mode {mode:04o}): chmod 600 it, and make a new \
         key if somebody may have read this one",
        path.display()
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its text does not fit.
    #[error("{}{}: expected {expected}", path.display(), line_suffix(*line))]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// The line, from 1, where it is known.
        line: Option<usize>,
        /// What a key file holds.
        expected: &'static str,
    },
    /// The cipher is not one of those that Causeway has.
    #[error("{}: unknown cipher; expected one of {ciphers}", path.display())]
    UnknownCipher {
        /// The key file.
        path: PathBuf,
        /// The ciphers' names.
        ciphers: String,
    },
    /// The key is too short or too long for the cipher.
    #[error("{}: {error}; a byte is two hex digits", path.display())]
    WrongLength {
        /// The key file.
        path: PathBuf,
        /// The lengths.
        error: causeway_esp::KeyError,
    },
}

fn line_suffix(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

/// One SA's cipher, and its key with the 4-octet salt behind it (RFC 4106 section 8.1).
#[derive(Clone)]
pub struct SaKey {
    cipher: Cipher,
    material: Zeroizing<Vec<u8>>,
}

impl SaKey {
    /// The cipher.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// The key as an SA takes it.
    ///
    /// # Errors
    /// Its length does not fit the cipher; a key that was read from a file does.
    pub fn key(&self) -> Result<Key, causeway_esp::KeyError> {
        Key::new(self.cipher, &self.material)
    }

    /// What tells the key from others. The same octets under two ciphers count as one key.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let digest = digest(&SHA256, &self.material);
        let mut fingerprint = [0; SHA256_OUTPUT_LEN];
        fingerprint.copy_from_slice(digest.as_ref());
        Fingerprint(fingerprint)
    }
}

/// A digest of a key, which can be kept when the key must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; SHA256_OUTPUT_LEN]);

impl fmt::Debug for SaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SaKey({}, redacted)", self.cipher)
    }
}

/// Reads the key of one SA.
///
/// # Errors
/// The file is unreadable, exposed to others, malformed, or its key does not fit its cipher.
pub(crate) fn read_sa(path: &Path) -> Result<SaKey, KeyError> {
    const EXPECTED: &str =
        "two lines, cipher = \"<name>\" and key = \"<hex digits of key and salt>\"";
    let malformed = |line| KeyError::Malformed {
        path: path.to_owned(),
        line,
        expected: EXPECTED,
    };
    let content = read(path)?;
    let text = std::str::from_utf8(&content).map_err(|_| malformed(None))?;
    // The TOML error's own words could quote the key: only its line is passed on.
    let written: Written = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        malformed(before.map(|before| before.matches('\n').count() + 1))
    })?;
    let cipher = Cipher::ALL
        .iter()
        .copied()
        .find(|cipher| cipher.name() == written.cipher)
        .ok_or_else(|| KeyError::UnknownCipher {
            path: path.to_owned(),
            ciphers: cipher_names(),
        })?;
    let sa = SaKey {
        cipher,
        material: written.key.0,
    };
    sa.key().map_err(|error| KeyError::WrongLength {
        path: path.to_owned(),
        error,
    })?;
    Ok(sa)
}

/// Reads the key of the steering hash.
///
/// # Errors
/// The file is unreadable, exposed to others, or not 32 hex digits.
pub(crate) fn read_steering(path: &Path) -> Result<SteeringKey, KeyError> {
    let content = read(path)?;
    let octets = hex::decode(content.trim_ascii())
        .filter(|octets| octets.len() == SteeringKey::LEN)
        .ok_or_else(|| KeyError::Malformed {
            path: path.to_owned(),
            line: None,
            expected: "32 hex digits; make one with `causeway key steering` and copy it to both VPCs",
        })?;
    let mut key = Zeroizing::new([0; SteeringKey::LEN]);
    key.copy_from_slice(&octets);
    Ok(SteeringKey::new(key))
}

pub(super) fn cipher_names() -> String {
    let names: Vec<_> = Cipher::ALL.iter().map(|cipher| cipher.name()).collect();
    names.join(", ")
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |error| KeyError::Io {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(failed)?;
    // Of the open file, so that nobody can put another one in its place in between.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(KeyError::NotAKeyFile {
            path: path.to_owned(),
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    // With its whole capacity from the start: a buffer that grows leaves copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize));
    file.take(MAX_FILE)
        .read_to_end(&mut content)
        .map_err(failed)?;
    Ok(content)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    cipher: &'a str,
    key: Octets,
}

struct Octets(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl Visitor<'_> for Hex {
            type Value = Octets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("hex digits")
            }

            fn visit_str<E: de::Error>(self, digits: &str) -> Result<Octets, E> {
                hex::decode(digits.as_bytes())
                    .map(Octets)
                    .ok_or_else(|| E::custom("not hex digits"))
            }
        }
        deserializer.deserialize_str(Hex)
    }
}
