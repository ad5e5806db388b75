//! The ciphers of ESP.

use std::fmt;
use std::str::FromStr;

use crate::wire::SALT_LEN;

/// An AEAD for ESP, always with a 4-octet salt, an 8-octet IV and a 16-octet ICV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// AES-GCM with a 128-bit key (RFC 4106).
    Aes128Gcm,
    /// AES-GCM with a 256-bit key (RFC 4106).
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
}

impl Cipher {
    /// Every supported cipher.
    pub const ALL: [Cipher; 3] = [
        Cipher::Aes128Gcm,
        Cipher::Aes256Gcm,
        Cipher::ChaCha20Poly1305,
    ];

    /// The cipher's name in configuration and key files.
    pub const fn name(self) -> &'static str {
        match self {
            Cipher::Aes128Gcm => "aes-128-gcm",
            Cipher::Aes256Gcm => "aes-256-gcm",
            Cipher::ChaCha20Poly1305 => "chacha20-poly1305",
        }
    }

    /// Length in bytes of the keying material: the key, then 4 bytes of salt
    /// (RFC 4106 section 8.1, RFC 7634 section 2).
    pub const fn key_len(self) -> usize {
        match self {
            Cipher::Aes128Gcm => 20,
            Cipher::Aes256Gcm | Cipher::ChaCha20Poly1305 => 36,
        }
    }

    /// Length in bytes of the key alone.
    pub(crate) const fn secret_len(self) -> usize {
        self.key_len() - SALT_LEN
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Cipher {
    type Err = UnknownCipher;

    fn from_str(name: &str) -> Result<Cipher, UnknownCipher> {
        Cipher::ALL
            .into_iter()
            .find(|cipher| cipher.name() == name)
            .ok_or_else(|| UnknownCipher(name.to_owned()))
    }
}

/// The given name is not the name of a cipher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the cipher aes-128-gcm, aes-256-gcm or chacha20-poly1305, got {0:?}")]
pub struct UnknownCipher(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_the_error_lists_them() {
        let error = "aes-192-gcm".parse::<Cipher>().unwrap_err().to_string();
        assert!(error.contains("\"aes-192-gcm\""));
        for cipher in Cipher::ALL {
            assert_eq!(cipher.to_string().parse(), Ok(cipher));
            assert!(error.contains(cipher.name()));
        }
    }
}
