//! A keyed AEAD: seal and open, from one slice into another.

use std::fmt;

use crate::chacha::ChaChaKey;
use crate::gcm::GcmKey;
use crate::library::Library;

/// Length of the nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// Length of the tag in bytes.
pub const ICV_LEN: usize = 16;

/// The AEADs.
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
    reason = "a key is boxed, and one hop less to it is one wait less for memory"
)]
enum Keyed {
    Gcm(GcmKey),
    ChaCha(ChaChaKey),
}

/// Why nothing was sealed or opened, or no key made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A key of another length than the cipher's; holds both, in bytes.
    #[error("expected a key of {expected} bytes, got {got}")]
    KeyLength {
        /// The cipher's.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// Input and output differ in length.
    #[error("input and output differ in length")]
    Lengths,
    /// The tag is wrong. The output is zeroed.
    #[error("the tag is wrong")]
    Forged,
    /// The library had no memory for this thread, or did not finish. The output is zeroed.
    #[error("intel-ipsec-mb did not finish: it may have got no memory for this thread")]
    Unfinished,
}

impl Key {
    /// Expands a key, on the heap, so that moving it leaves no copy.
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
            // SAFETY: so many bytes are a key of the cipher whose calls these are.
            unsafe { key.expand(secret) };
        }
        Ok(key)
    }

    /// Fetches ahead what every packet takes of it. It never waits and changes nothing.
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
            Keyed::ChaCha(key) => match key.encrypt(nonce, aad, plaintext, ciphertext) {
                Some(tag) => *icv = tag,
                None => return Err(unfinished(ciphertext)),
            },
        }
        Ok(())
    }

    /// Decrypts `ciphertext` into `plaintext`, of equal length, if the tag is the right one. The
    /// library decrypts while it hashes, so the output is written first and zeroed again if not.
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
            Keyed::ChaCha(key) => key.decrypt(nonce, aad, ciphertext, plaintext),
        };
        let Some(tag) = tag else {
            return Err(unfinished(plaintext));
        };
        // As one number each: the time does not tell which byte differs.
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
