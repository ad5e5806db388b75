//! Direct calls of the AEAD backends: the lower bound for ESP.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use anyhow::{Result, anyhow};
use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use causeway_esp::{Available, Backend, Cipher};
use causeway_ipsec_mb as ipsec_mb;
use chacha20poly1305::ChaCha20Poly1305;

pub const ICV_LEN: usize = 16;

/// A keyed cipher in the backend's own type.
pub enum Bare {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
    AwsLc(LessSafeKey),
    IpsecMb(Box<ipsec_mb::Key>),
}

impl Bare {
    pub fn new(cipher: Cipher, backend: Available) -> Result<Bare> {
        let key = [0x5a; 32];
        let boxed = |_| anyhow!("the key of {cipher} has the wrong length");
        Ok(match (backend.backend(), cipher) {
            (Backend::RustCrypto, Cipher::Aes128Gcm) => Bare::Aes128Gcm(Box::new(
                KeyInit::new_from_slice(&key[..16]).map_err(boxed)?,
            )),
            (Backend::RustCrypto, Cipher::Aes256Gcm) => {
                Bare::Aes256Gcm(Box::new(KeyInit::new_from_slice(&key).map_err(boxed)?))
            }
            (Backend::RustCrypto, Cipher::ChaCha20Poly1305) => {
                Bare::ChaCha20Poly1305(Box::new(KeyInit::new_from_slice(&key).map_err(boxed)?))
            }
            (Backend::AwsLc, cipher) => {
                let (algorithm, len) = match cipher {
                    Cipher::Aes128Gcm => (&AES_128_GCM, 16),
                    Cipher::Aes256Gcm => (&AES_256_GCM, 32),
                    Cipher::ChaCha20Poly1305 => (&CHACHA20_POLY1305, 32),
                };
                let key = UnboundKey::new(algorithm, &key[..len])
                    .map_err(|_| anyhow!("the key of {cipher} has the wrong length"))?;
                Bare::AwsLc(LessSafeKey::new(key))
            }
            (Backend::IpsecMb, cipher) => {
                let (name, len) = match cipher {
                    Cipher::Aes128Gcm => (ipsec_mb::Cipher::Aes128Gcm, 16),
                    Cipher::Aes256Gcm => (ipsec_mb::Cipher::Aes256Gcm, 32),
                    Cipher::ChaCha20Poly1305 => (ipsec_mb::Cipher::ChaCha20Poly1305, 32),
                };
                let library = ipsec_mb::Library::get()?;
                Bare::IpsecMb(ipsec_mb::Key::new(library, name, &key[..len])?)
            }
        })
    }

    /// Encrypts into the front of `output`, followed by the ICV. Returns false if the backend fails.
    #[inline]
    pub fn seal(&self, nonce: [u8; 12], aad: &[u8; 12], input: &[u8], output: &mut [u8]) -> bool {
        macro_rules! seal {
            ($key:expr) => {{
                let (ciphertext, icv) = output.split_at_mut(input.len());
                let buffer = InOutBuf::new(input, ciphertext).expect("of equal length");
                let sealed = $key.encrypt_inout_detached((&nonce).into(), aad, buffer);
                sealed.is_ok_and(|tag| {
                    icv[..ICV_LEN].copy_from_slice(&tag);
                    true
                })
            }};
        }
        match self {
            Bare::Aes128Gcm(key) => seal!(key),
            Bare::Aes256Gcm(key) => seal!(key),
            Bare::ChaCha20Poly1305(key) => seal!(key),
            Bare::AwsLc(key) => {
                let (ciphertext, icv) = output.split_at_mut(input.len());
                let nonce = Nonce::assume_unique_for_key(nonce);
                let icv = &mut icv[..ICV_LEN];
                key.seal_out_of_place_scatter(nonce, Aad::from(aad), input, ciphertext, &[], icv)
                    .is_ok()
            }
            Bare::IpsecMb(key) => {
                let (ciphertext, icv) = output.split_at_mut(input.len());
                let icv = icv.first_chunk_mut().expect("room for the ICV");
                key.seal(&nonce, aad, input, ciphertext, icv).is_ok()
            }
        }
    }

    /// Decrypts `input`, ciphertext and ICV, into `output`. Returns false if the ICV is invalid.
    #[inline]
    pub fn open(&self, nonce: [u8; 12], aad: &[u8; 12], input: &[u8], output: &mut [u8]) -> bool {
        let (ciphertext, icv) = input.split_at(input.len() - ICV_LEN);
        macro_rules! open {
            ($key:expr) => {{
                let icv = icv.try_into().expect("16 bytes");
                let buffer = InOutBuf::new(ciphertext, output).expect("of equal length");
                $key.decrypt_inout_detached((&nonce).into(), aad, buffer, icv)
                    .is_ok()
            }};
        }
        match self {
            Bare::Aes128Gcm(key) => open!(key),
            Bare::Aes256Gcm(key) => open!(key),
            Bare::ChaCha20Poly1305(key) => open!(key),
            Bare::AwsLc(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_separate_gather(nonce, Aad::from(aad), ciphertext, icv, output)
                    .is_ok()
            }
            Bare::IpsecMb(key) => {
                let icv = icv.try_into().expect("16 bytes");
                key.open(&nonce, aad, ciphertext, icv, output).is_ok()
            }
        }
    }
}
