//! The implementations of the AEADs, and which of them an SA uses.

use aes_gcm::aead::Error;
use causeway_ipsec_mb::{Library, Unavailable};

use super::aws_lc::AwsLc;
use super::rustcrypto::RustCrypto;
use super::{ICV_LEN, NONCE_LEN, ipsec_mb};
use crate::cipher::Cipher;

/// An implementation of the AEADs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Pure Rust: the crates aes-gcm and chacha20poly1305.
    RustCrypto,
    /// C and assembly: AWS-LC, by aws-lc-rs.
    AwsLc,
    /// Assembly for x86-64: intel-ipsec-mb, where it is installed.
    IpsecMb,
}

impl Backend {
    /// Every backend, whether it can be used here or not.
    pub const ALL: [Backend; 3] = [Backend::RustCrypto, Backend::AwsLc, Backend::IpsecMb];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::RustCrypto => "rustcrypto",
            Backend::AwsLc => "aws-lc",
            Backend::IpsecMb => "ipsec-mb",
        }
    }

    /// Asks whether it can be used here.
    ///
    /// # Errors
    /// [`BackendMissing`] tells why not; the first two always can.
    pub fn available(self) -> Result<Available, BackendMissing> {
        match self {
            Backend::RustCrypto | Backend::AwsLc => Ok(Available(self)),
            Backend::IpsecMb => match Library::get() {
                Ok(_) => Ok(Available(self)),
                Err(reason) => Err(BackendMissing {
                    backend: self,
                    reason,
                }),
            },
        }
    }

    /// Those that can be used here, at least two.
    pub fn present() -> impl Iterator<Item = Available> {
        Backend::ALL
            .into_iter()
            .filter_map(|backend| backend.available().ok())
    }
}

/// A backend that can be used here. Only [`Backend::available`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available(Backend);

impl Available {
    /// Which one it is.
    pub fn backend(self) -> Backend {
        self.0
    }
}

/// A backend that cannot be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backend {} cannot be used here: {reason}", .backend.name())]
pub struct BackendMissing {
    /// Which one.
    pub backend: Backend,
    /// Why.
    pub reason: Unavailable,
}

/// Which backend an SA uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// For each cipher, way and packet length the one that is fastest on this CPU, measured once per
    /// process and cipher; at each of seven lengths no round begins after 16 ms.
    #[default]
    Auto,
    /// This one for every packet.
    Only(Available),
}

/// A cipher with a key in it, whoever implements it. All that the rest of this crate knows of a backend.
pub(super) trait Keyed: Send + Sync {
    /// Fetches ahead what every packet takes of the key, if that is known.
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
    /// Takes a time that depends on lengths and on whether the ICV is valid, and on nothing else: neither
    /// on the key nor on how much of the ICV is right (docs/proof.md, "Time").
    fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error>;
}

/// Gives a backend a key, which must be as long as the cipher asks for.
pub(super) fn keyed(backend: Available, cipher: Cipher, secret: &[u8]) -> Box<dyn Keyed> {
    match backend.0 {
        Backend::RustCrypto => Box::new(RustCrypto::new(cipher, secret)),
        Backend::AwsLc => Box::new(AwsLc::new(cipher, secret)),
        Backend::IpsecMb => ipsec_mb::key(cipher, secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_backend_is_named_with_the_reason() {
        let missing = BackendMissing {
            backend: Backend::IpsecMb,
            reason: Unavailable::Version("9.9.9".to_owned()),
        };
        let text = missing.to_string();
        assert!(text.contains("backend ipsec-mb"), "{text}");
        assert!(
            text.contains("expected intel-ipsec-mb 1.3.0, got 9.9.9"),
            "{text}"
        );
    }

    /// What is compared and measured elsewhere is whatever is present, so this says what must be.
    #[test]
    fn the_two_that_are_built_in_are_present_and_the_third_where_its_library_is() {
        let present: Vec<_> = Backend::present().map(Available::backend).collect();
        let expected = if Library::get().is_ok() { 3 } else { 2 };
        assert_eq!(present, Backend::ALL[..expected]);
    }
}
