//! The implementations of the AEADs, and which of them an SA uses.

use aes_gcm::aead::Error;

use super::aws_lc::AwsLc;
use super::rustcrypto::RustCrypto;
use super::{ICV_LEN, NONCE_LEN};
use crate::cipher::Cipher;

/// An implementation of the AEADs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Pure Rust: the crates aes-gcm and chacha20poly1305.
    RustCrypto,
    /// C and assembly: AWS-LC, by aws-lc-rs.
    AwsLc,
}

impl Backend {
    /// Every backend, for menus and tests.
    pub const ALL: [Backend; 2] = [Backend::RustCrypto, Backend::AwsLc];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::RustCrypto => "rustcrypto",
            Backend::AwsLc => "aws-lc",
        }
    }
}

/// Which backend an SA uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// For each cipher and packet length the one that is faster on this CPU, measured once per
    /// process and cipher; at each of four lengths no round begins after 1 ms.
    #[default]
    Auto,
    /// This one for every packet.
    Only(Backend),
}

/// A backend with a key in it.
pub(super) enum Keyed {
    RustCrypto(RustCrypto),
    AwsLc(AwsLc),
}

impl Keyed {
    pub(super) fn new(backend: Backend, cipher: Cipher, secret: &[u8]) -> Keyed {
        match backend {
            Backend::RustCrypto => Keyed::RustCrypto(RustCrypto::new(cipher, secret)),
            Backend::AwsLc => Keyed::AwsLc(AwsLc::new(cipher, secret)),
        }
    }

    /// Encrypts `plaintext` into `ciphertext`, of equal length, and writes the ICV.
    #[inline]
    pub(super) fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Error> {
        match self {
            Keyed::RustCrypto(key) => key.encrypt(nonce, aad, plaintext, ciphertext, icv),
            Keyed::AwsLc(key) => key.encrypt(nonce, aad, plaintext, ciphertext, icv),
        }
    }

    /// Decrypts `ciphertext` into `plaintext`, of equal length. If the ICV is not valid,
    /// `plaintext` is either untouched or zero.
    #[inline]
    pub(super) fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        match self {
            Keyed::RustCrypto(key) => key.decrypt(nonce, aad, ciphertext, icv, plaintext),
            Keyed::AwsLc(key) => key.decrypt(nonce, aad, ciphertext, icv, plaintext),
        }
    }
}
