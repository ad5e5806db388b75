//! A cipher with its key, which seals and opens from one slice into another.

use std::fmt;

use crate::chacha::{ChaChaKey, Direction};
use crate::gcm::GcmKey;
use crate::lengths::{ICV_LEN, NONCE_LEN};
use crate::library::Library;

/// The supported AEADs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-GCM with a key of 16 bytes.
    Aes128Gcm,
    /// AES-GCM with a key of 32 bytes.
    Aes256Gcm,
    /// ChaCha20-Poly1305, with a key of 32 bytes (RFC 8439).
    ChaCha20Poly1305,
}

/// A cipher with its key, wiped when dropped.
pub struct Key(Keyed);

#[expect(
    clippy::large_enum_variant,
    reason = "the whole key is boxed, and one more indirection would cost one more cache miss"
)]
enum Keyed {
    Gcm(GcmKey),
    ChaCha(ChaChaKey),
}

/// The errors of making a key, sealing and opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key's length does not match the cipher.
    #[error("expected a key of {expected} bytes, got {got}")]
    KeyLength {
        /// The length of the cipher's keys in bytes.
        expected: usize,
        /// The length of the given key in bytes.
        got: usize,
    },
    /// Input and output differ in length. Nothing was written.
    #[error("input and output differ in length")]
    Lengths,
    /// The tag is wrong. The output is zeroed.
    #[error("the tag is wrong")]
    Forged,
    /// The library could not allocate state for this thread, or did not complete the operation. The output is zeroed.
    #[error(
        "intel-ipsec-mb did not complete the operation: it may lack memory for this thread's state"
    )]
    Unfinished,
}

impl Key {
    /// Expands a key on the heap, so that moving it leaves no copy behind.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn new(
        library: &'static Library,
        cipher: Cipher,
        secret: &[u8],
    ) -> Result<Box<Key>, Error> {
        let wrong = |expected| Error::KeyLength {
            expected,
            got: secret.len(),
        };
        let (expected, calls) = match cipher {
            Cipher::Aes128Gcm => (16, library.gcm128),
            Cipher::Aes256Gcm => (32, library.gcm256),
            Cipher::ChaCha20Poly1305 => {
                let secret = secret.try_into().map_err(|_| wrong(32))?;
                let key = Keyed::ChaCha(ChaChaKey::new(library, secret));
                return Ok(Box::new(Key(key)));
            }
        };
        if secret.len() != expected {
            return Err(wrong(expected));
        }
        let mut key = Box::new(Key(Keyed::Gcm(GcmKey::empty(calls))));
        if let Keyed::Gcm(key) = &mut key.0 {
            // SAFETY: the length was checked above against the cipher of these calls.
            unsafe { key.expand(secret) };
        }
        Ok(key)
    }

    /// Prefetches the cache lines that every packet needs. It never waits and has no other effect.
    #[inline]
    pub fn fetch(&self) {
        match &self.0 {
            Keyed::Gcm(key) => key.fetch(),
            Keyed::ChaCha(key) => key.fetch(),
        }
    }

    /// Encrypts `plaintext` into `ciphertext`, of equal length, and writes the tag.
    ///
    /// # Errors
    /// [`Error::Lengths`], [`Error::Unfinished`].
    #[inline]
    pub fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Error> {
        if plaintext.len() != ciphertext.len() {
            return Err(Error::Lengths);
        }
        match &self.0 {
            Keyed::Gcm(key) => key.encrypt(nonce, aad, plaintext, ciphertext, icv),
            Keyed::ChaCha(key) => {
                match key.call(Direction::Encrypt, nonce, aad, plaintext, ciphertext) {
                    Some(tag) => *icv = tag,
                    None => return Err(unfinished(ciphertext)),
                }
            }
        }
        Ok(())
    }

    /// Decrypts `ciphertext` into `plaintext`, of equal length, if the tag is right. The library writes the output before
    /// the tag is known, so a wrong tag zeroes the output again.
    ///
    /// # Errors
    /// [`Error::Lengths`], [`Error::Forged`], [`Error::Unfinished`].
    #[inline]
    pub fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        if plaintext.len() != ciphertext.len() {
            return Err(Error::Lengths);
        }
        let tag = match &self.0 {
            Keyed::Gcm(key) => Some(key.decrypt(nonce, aad, ciphertext, plaintext)),
            Keyed::ChaCha(key) => key.call(Direction::Decrypt, nonce, aad, ciphertext, plaintext),
        };
        let Some(tag) = tag else {
            return Err(unfinished(plaintext));
        };
        // Compare the tags as numbers, so that the time does not depend on the position of a difference.
        if u128::from_ne_bytes(tag) ^ u128::from_ne_bytes(*icv) != 0 {
            return Err(forged(plaintext));
        }
        Ok(())
    }
}

#[cold]
fn forged(output: &mut [u8]) -> Error {
    output.fill(0);
    Error::Forged
}

#[cold]
fn unfinished(output: &mut [u8]) -> Error {
    output.fill(0);
    Error::Unfinished
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}
