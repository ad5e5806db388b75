//! AWS-LC: assembly that stitches cipher and hash together, chosen for the CPU at run time.

use aes_gcm::aead::Error;
use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};

use super::backend::Keyed;
use super::{ICV_LEN, NONCE_LEN};
use crate::cipher::Cipher;

/// A key schedule on the heap of AWS-LC, which wipes whatever it frees.
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

impl Keyed for AwsLc {
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
        // The name is the crate's; whoever opens is handed the nonce by the packet.
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_separate_gather(nonce, Aad::from(aad), ciphertext, icv, plaintext)
            .map_err(|_| {
                // It decrypts while it hashes, and promises nothing about what it leaves behind.
                plaintext.fill(0);
                Error
            })
    }
}
