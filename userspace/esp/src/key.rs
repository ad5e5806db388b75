//! Keying material, wiped when dropped and never printed.

use std::fmt;

use zeroize::Zeroizing;

use crate::cipher::Cipher;
use crate::wire::SALT_LEN;

/// A cipher with its key and salt. Both are wiped when dropped. They are on the heap, so that a move leaves no
/// copy of them.
pub struct Key {
    cipher: Cipher,
    material: Zeroizing<Box<[u8]>>,
}

impl Key {
    /// Copies `material`: the key, then 4 bytes of salt.
    ///
    /// # Errors
    /// [`KeyError`] if the length is not [`Cipher::key_len`].
    pub fn new(cipher: Cipher, material: &[u8]) -> Result<Key, KeyError> {
        if material.len() != cipher.key_len() {
            return Err(KeyError {
                cipher,
                actual: material.len(),
            });
        }
        Ok(Key {
            cipher,
            material: Zeroizing::new(material.into()),
        })
    }

    /// The cipher that uses this key.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.material[..self.cipher.secret_len()]
    }

    pub(crate) fn salt(&self) -> Zeroizing<[u8; SALT_LEN]> {
        let mut salt = Zeroizing::new([0; SALT_LEN]);
        salt.copy_from_slice(&self.material[self.cipher.secret_len()..]);
        salt
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, redacted)", self.cipher)
    }
}

/// Keying material has the wrong length. The error holds lengths, never key bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {} bytes for {cipher} (the key and 4 bytes of salt), got {actual}", .cipher.key_len())]
pub struct KeyError {
    /// The cipher that determines the expected length.
    pub cipher: Cipher,
    /// The length of the given material in bytes.
    pub actual: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_error_contains_no_key_bytes() {
        for cipher in Cipher::ALL {
            let error = Key::new(cipher, &[0xab; 19]).unwrap_err().to_string();
            assert!(error.contains(&format!("expected {} bytes", cipher.key_len())));
            assert!(error.contains("got 19") && !error.contains("ab") && !error.contains("171"));
        }
    }

    #[test]
    fn debug_prints_no_key_bytes() {
        let key = Key::new(Cipher::Aes128Gcm, &[0xab; 20]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(aes-128-gcm, redacted)");
    }

    /// Standard: gcm-key, chacha-layout
    #[test]
    fn the_salt_is_the_last_four_bytes() {
        let material: Vec<u8> = (0..36).collect();
        let key = Key::new(Cipher::ChaCha20Poly1305, &material).unwrap();
        assert_eq!(key.secret(), &material[..32]);
        assert_eq!(*key.salt(), [32, 33, 34, 35]);
    }
}
