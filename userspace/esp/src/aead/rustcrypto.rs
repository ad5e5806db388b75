//! RustCrypto's AEADs: the reference, available on every host.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, Error, KeyInit, Tag};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;

use super::keyed_cipher::KeyedCipher;
use crate::cipher::Cipher;
use crate::wire::{ICV_LEN, NONCE_LEN};

/// A key schedule, wiped when dropped. It is boxed, so that moving an SA leaves no copy of it.
pub(super) enum RustCrypto {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
}

impl RustCrypto {
    pub(super) fn new(cipher: Cipher, secret: &[u8]) -> RustCrypto {
        fn keyed<C: KeyInit>(secret: &[u8]) -> Box<C> {
            Box::new(C::new_from_slice(secret).expect("Key::new has checked the length"))
        }
        match cipher {
            Cipher::Aes128Gcm => RustCrypto::Aes128Gcm(keyed(secret)),
            Cipher::Aes256Gcm => RustCrypto::Aes256Gcm(keyed(secret)),
            Cipher::ChaCha20Poly1305 => RustCrypto::ChaCha20Poly1305(keyed(secret)),
        }
    }
}

impl KeyedCipher for RustCrypto {
    fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Error> {
        let buffer = InOutBuf::new(plaintext, ciphertext).map_err(|_| Error)?;
        let tag: Tag<Aes128Gcm> = match self {
            RustCrypto::Aes128Gcm(c) => c.encrypt_inout_detached(nonce.into(), aad, buffer)?,
            RustCrypto::Aes256Gcm(c) => c.encrypt_inout_detached(nonce.into(), aad, buffer)?,
            RustCrypto::ChaCha20Poly1305(c) => {
                c.encrypt_inout_detached(nonce.into(), aad, buffer)?
            }
        };
        *icv = tag.into();
        Ok(())
    }

    fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        let icv = icv.into();
        let buffer = InOutBuf::new(ciphertext, plaintext).map_err(|_| Error)?;
        match self {
            RustCrypto::Aes128Gcm(c) => c.decrypt_inout_detached(nonce.into(), aad, buffer, icv),
            RustCrypto::Aes256Gcm(c) => c.decrypt_inout_detached(nonce.into(), aad, buffer, icv),
            RustCrypto::ChaCha20Poly1305(c) => {
                c.decrypt_inout_detached(nonce.into(), aad, buffer, icv)
            }
        }
    }
}

/// The cipher crates wipe their key schedules: the features for it are enabled.
#[cfg(test)]
#[test]
fn key_schedules_are_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<Aes128Gcm>();
    wiped::<Aes256Gcm>();
    wiped::<ChaCha20Poly1305>();
}
