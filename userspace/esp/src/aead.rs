//! The AEAD calls: a nonce is consumed by sealing, a candidate becomes authentic by opening.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, Error, KeyInit, Tag};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use zeroize::Zeroizing;

use crate::cipher::Cipher;
use crate::key::{Key, SALT_LEN};
use crate::sequence::Nonce;
use crate::spi::Spi;
use crate::window::Candidate;

/// Length of the explicit IV in bytes (RFC 4106 section 3.1, RFC 7634 section 2).
pub(crate) const IV_LEN: usize = 8;
/// Length of the ICV in bytes (RFC 8221 section 5 asks for the full 16).
pub(crate) const ICV_LEN: usize = 16;

/// A number whose packet carried a valid ICV. Only [`Aead::open`] makes one.
pub(crate) struct Authentic(Candidate);

impl Authentic {
    pub(crate) fn number(&self) -> u64 {
        self.0.number()
    }

    /// For tests of the window alone.
    #[cfg(test)]
    pub(crate) fn assume(candidate: Candidate) -> Authentic {
        Authentic(candidate)
    }
}

/// A packet whose ICV is not valid.
pub(crate) struct Forged;

/// A keyed cipher with its salt. Key schedules are wiped when dropped, and boxed so that moving an
/// SA leaves no copy behind.
pub(crate) struct Aead {
    backend: Backend,
    salt: Zeroizing<[u8; SALT_LEN]>,
}

enum Backend {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
}

impl Aead {
    pub(crate) fn new(key: &Key) -> Aead {
        fn keyed<C: KeyInit>(key: &Key) -> Box<C> {
            Box::new(C::new_from_slice(key.secret()).expect("Key::new has checked the length"))
        }
        Aead {
            backend: match key.cipher() {
                Cipher::Aes128Gcm => Backend::Aes128Gcm(keyed(key)),
                Cipher::Aes256Gcm => Backend::Aes256Gcm(keyed(key)),
                Cipher::ChaCha20Poly1305 => Backend::ChaCha20Poly1305(keyed(key)),
            },
            salt: key.salt(),
        }
    }

    /// Encrypts `plaintext` into `ciphertext` (of equal length) in one pass, writes the ICV and
    /// returns the IV, which is the sequence number.
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: Nonce,
        spi: Spi,
        plaintext: &[u8],
        ciphertext: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<[u8; IV_LEN], Error> {
        let iv = nonce.number().to_be_bytes();
        let aad = aad(spi, nonce.number());
        *icv = self.encrypt(&iv, &aad, plaintext, ciphertext)?;
        Ok(iv)
    }

    /// Verifies the ICV and then decrypts `ciphertext` into `plaintext` (of equal length).
    /// `plaintext` stays as it was unless the ICV is valid.
    #[inline]
    pub(crate) fn open(
        &self,
        candidate: Candidate,
        spi: Spi,
        iv: &[u8; IV_LEN],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<Authentic, Forged> {
        let aad = aad(spi, candidate.number());
        self.decrypt(iv, &aad, ciphertext, icv, plaintext)
            .map_err(|_| Forged)?;
        Ok(Authentic(candidate))
    }

    fn encrypt(
        &self,
        iv: &[u8; IV_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<[u8; ICV_LEN], Error> {
        let nonce = self.nonce(iv);
        let buffer = InOutBuf::new(plaintext, ciphertext).map_err(|_| Error)?;
        let tag: Tag<Aes128Gcm> = match &self.backend {
            Backend::Aes128Gcm(c) => c.encrypt_inout_detached((&nonce).into(), aad, buffer)?,
            Backend::Aes256Gcm(c) => c.encrypt_inout_detached((&nonce).into(), aad, buffer)?,
            Backend::ChaCha20Poly1305(c) => {
                c.encrypt_inout_detached((&nonce).into(), aad, buffer)?
            }
        };
        Ok(tag.into())
    }

    fn decrypt(
        &self,
        iv: &[u8; IV_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        let nonce = self.nonce(iv);
        let icv = icv.into();
        let buffer = InOutBuf::new(ciphertext, plaintext).map_err(|_| Error)?;
        match &self.backend {
            Backend::Aes128Gcm(c) => c.decrypt_inout_detached((&nonce).into(), aad, buffer, icv),
            Backend::Aes256Gcm(c) => c.decrypt_inout_detached((&nonce).into(), aad, buffer, icv),
            Backend::ChaCha20Poly1305(c) => {
                c.decrypt_inout_detached((&nonce).into(), aad, buffer, icv)
            }
        }
    }

    fn nonce(&self, iv: &[u8; IV_LEN]) -> [u8; SALT_LEN + IV_LEN] {
        let mut nonce = [0; SALT_LEN + IV_LEN];
        nonce[..SALT_LEN].copy_from_slice(&*self.salt);
        nonce[SALT_LEN..].copy_from_slice(iv);
        nonce
    }
}

/// What the ICV covers beside the ciphertext: SPI and 64-bit number (RFC 4106 section 5, RFC 7634
/// section 2.1).
fn aad(spi: Spi, number: u64) -> [u8; 12] {
    let mut aad = [0; 12];
    aad[..4].copy_from_slice(&spi.get().to_be_bytes());
    aad[4..].copy_from_slice(&number.to_be_bytes());
    aad
}

#[cfg(test)]
mod vectors;
