//! Keying material, wiped when dropped and never shown.

use std::fmt;

use zeroize::Zeroizing;

use crate::cipher::Cipher;

/// Length of the salt at the end of the keying material, in bytes.
pub(crate) const SALT_LEN: usize = 4;

/// A cipher with its key and salt. Wiped when dropped; on the heap, so that moving it leaves no
/// copy behind.
pub struct Key {
    cipher: Cipher,
    material: Zeroizing<Box<[u8]>>,
}

impl Key {
    /// Takes a copy of `material`: the key, then 4 bytes of salt.
    ///
    /// # Errors
    /// [`KeyError`] if its length is not [`Cipher::key_len`].
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

    /// The cipher that this key is for.
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

/// Keying material of the wrong length. Tells lengths, never bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {} bytes for {cipher} (the key and 4 bytes of salt), got {actual}", .cipher.key_len())]
pub struct KeyError {
    /// The cipher that the key was meant for.
    pub cipher: Cipher,
    /// The length that came, in bytes.
    pub actual: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_length_is_told_without_the_bytes() {
        for cipher in Cipher::ALL {
            let error = Key::new(cipher, &[0xab; 19]).unwrap_err().to_string();
            assert!(error.contains(&format!("expected {} bytes", cipher.key_len())));
            assert!(error.contains("got 19") && !error.contains("ab") && !error.contains("171"));
        }
    }

    #[test]
    fn debug_shows_no_byte() {
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
