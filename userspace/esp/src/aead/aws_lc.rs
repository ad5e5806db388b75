//! AWS-LC: assembly that interleaves cipher and hash, selected for the CPU at run time.

use aes_gcm::aead::Error;
use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};

use super::keyed_cipher::KeyedCipher;
use crate::cipher::Cipher;
use crate::wire::{ICV_LEN, NONCE_LEN};

/// A key schedule on the heap of AWS-LC, which wipes all memory that it frees.
pub(super) struct AwsLc(LessSafeKey);

impl AwsLc {
    pub(super) fn new(cipher: Cipher, secret: &[u8]) -> AwsLc {
        let algorithm = match cipher {
            Cipher::Aes128Gcm => &AES_128_GCM,
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, secret).expect("Key::new has checked the length");
        AwsLc(LessSafeKey::new(key))
    }
}

impl KeyedCipher for AwsLc {
    fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Error> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .seal_out_of_place_scatter(nonce, Aad::from(aad), plaintext, ciphertext, &[], icv)
            .map_err(|_| Error)
    }

    fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        // Uniqueness matters only for sealing. Here the nonce comes from the packet.
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_separate_gather(nonce, Aad::from(aad), ciphertext, icv, plaintext)
            .map_err(|_| {
                // AWS-LC decrypts while it hashes, and does not promise to clear the output on failure.
                plaintext.fill(0);
                Error
            })
    }
}
