//! The interface that every AEAD backend implements.

use aes_gcm::aead::Error;

use crate::wire::{ICV_LEN, NONCE_LEN};

/// A cipher with its key. The rest of the crate uses a backend only through this trait.
pub(super) trait KeyedCipher: Send + Sync {
    /// Prefetches the part of the key that every packet reads. Does nothing if a backend does not expose it.
    fn fetch(&self) {}

    /// Encrypts `plaintext` into `ciphertext`, of equal length, and writes the ICV.
    fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Error>;

    /// Decrypts `ciphertext` into `plaintext`, of equal length. If the ICV is not valid,
    /// `plaintext` is either untouched or zero.
    ///
    /// The duration depends only on lengths and on whether the ICV is valid. It depends neither on the key
    /// nor on how many bytes of the ICV match (docs/proof.md, "Time").
    fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error>;
}
