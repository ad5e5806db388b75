//! Reads key files. Errors contain the path and the fault, never the content.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use causeway_esp::{Cipher, Key};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use zeroize::Zeroizing;

use crate::SteeringKey;
use crate::file::open_regular;

/// The longest key file, in bytes.
const MAX_FILE: u64 = 4096;

/// A key file was refused. No variant contains content of the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be opened or read.
    #[error("{} cannot be read: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    /// The file is too long.
    #[error("{} is not a key file: expected at most {MAX_FILE} bytes", path.display())]
    NotAKeyFile { path: PathBuf },
    /// Group or others have permissions.
    #[error(
        "{} is accessible to group or others (mode {mode:04o}): set mode 600, and make a new key if \
         another user may have read this one",
        path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    /// The content has the wrong format.
    #[error("{}{}: expected {expected}", path.display(), line_suffix(*line))]
    Malformed {
        path: PathBuf,
        /// The line, from 1, if it is known.
        line: Option<usize>,
        expected: &'static str,
    },
    /// The cipher is not supported.
    #[error("{}: unknown cipher; expected one of {ciphers}", path.display())]
    UnknownCipher { path: PathBuf, ciphers: String },
    /// The key is too short or too long for the cipher.
    #[error("{}: {error}; a byte has two hex digits", path.display())]
    WrongLength {
        path: PathBuf,
        /// The expected and the actual length.
        error: causeway_esp::KeyError,
    },
}

fn line_suffix(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

/// The cipher of one SA, and its key followed by the 4-octet salt (RFC 4106 section 8.1).
#[derive(Clone)]
pub struct SaKey {
    cipher: Cipher,
    material: Zeroizing<Vec<u8>>,
}

impl SaKey {
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// The key in the form for an SA.
    ///
    /// # Errors
    /// The length does not fit the cipher. [`read_sa`] never returns such a key.
    pub fn key(&self) -> Result<Key, causeway_esp::KeyError> {
        Key::new(self.cipher, &self.material)
    }

    /// A digest that identifies the key. The same octets under two ciphers count as one key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.material)
    }
}

/// A digest of a key. It may be stored where the key may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; SHA256_OUTPUT_LEN]);

impl Fingerprint {
    pub(crate) fn of(material: &[u8]) -> Self {
        let digest = digest(&SHA256, material);
        let mut fingerprint = [0; SHA256_OUTPUT_LEN];
        fingerprint.copy_from_slice(digest.as_ref());
        Self(fingerprint)
    }

    pub(crate) fn to_hex(self) -> String {
        base16ct::lower::encode_string(&self.0)
    }
}

impl fmt::Debug for SaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SaKey({}, redacted)", self.cipher)
    }
}

/// Reads the key of one SA.
///
/// # Errors
/// The file is unreadable, exposed to others, malformed, or its key does not fit its cipher.
pub fn read_sa(path: &Path) -> Result<SaKey, KeyError> {
    const EXPECTED: &str =
        "two lines, cipher = \"<name>\" and key = \"<hex digits of key and salt>\"";
    let malformed = |line| KeyError::Malformed {
        path: path.to_owned(),
        line,
        expected: EXPECTED,
    };
    let content = read(path)?;
    let text = std::str::from_utf8(&content).map_err(|_| malformed(None))?;
    // The message of a TOML error could quote the key, so only its line is used.
    let file: KeyFile = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        malformed(before.map(|before| before.matches('\n').count() + 1))
    })?;
    let cipher = Cipher::ALL
        .iter()
        .copied()
        .find(|cipher| cipher.name() == file.cipher)
        .ok_or_else(|| KeyError::UnknownCipher {
            path: path.to_owned(),
            ciphers: cipher_names(),
        })?;
    let sa = SaKey {
        cipher,
        material: file.key.0,
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
pub fn read_steering(path: &Path) -> Result<SteeringKey, KeyError> {
    let content = read(path)?;
    let octets = decode_hex(content.trim_ascii())
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

fn cipher_names() -> String {
    let names: Vec<_> = Cipher::ALL.iter().map(|cipher| cipher.name()).collect();
    names.join(", ")
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |error| KeyError::Io {
        path: path.to_owned(),
        error,
    };
    let file = open_regular(OpenOptions::new().read(true), path).map_err(failed)?;
    // The metadata of the open file: a replacement of the file cannot pass this check.
    let metadata = file.metadata().map_err(failed)?;
    if metadata.len() > MAX_FILE {
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
    // With full capacity from the start, since a growing buffer leaves copies in memory.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize));
    file.take(MAX_FILE)
        .read_to_end(&mut content)
        .map_err(failed)?;
    Ok(content)
}

/// Returns `None` if `digits` are not pairs of hex digits.
fn decode_hex(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // With full length from the start, since a growing buffer leaves copies in memory.
    let mut octets = Zeroizing::new(vec![0; digits.len() / 2]);
    base16ct::mixed::decode(digits, &mut octets).ok()?;
    Some(octets)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile<'a> {
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
                decode_hex(digits.as_bytes())
                    .map(Octets)
                    .ok_or_else(|| E::custom("not hex digits"))
            }
        }
        deserializer.deserialize_str(Hex)
    }
}
