//! The AEAD implementations, and the choice of one for an SA.

use causeway_ipsec_mb::{Library, Unavailable};

use super::aws_lc::AwsLc;
use super::ipsec_mb;
use super::keyed_cipher::KeyedCipher;
use super::rustcrypto::RustCrypto;
use crate::cipher::Cipher;

/// An implementation of the AEADs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Pure Rust: the crates aes-gcm and chacha20poly1305. Always available.
    RustCrypto,
    /// C and assembly: AWS-LC, through aws-lc-rs. Always available.
    AwsLc,
    /// Assembly for x86-64: intel-ipsec-mb. Available where the library is installed.
    IpsecMb,
}

impl Backend {
    /// Every backend, available on this host or not.
    pub const ALL: [Backend; 3] = [Backend::RustCrypto, Backend::AwsLc, Backend::IpsecMb];

    /// The backend's name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::RustCrypto => "rustcrypto",
            Backend::AwsLc => "aws-lc",
            Backend::IpsecMb => "ipsec-mb",
        }
    }

    /// Checks that this host can run the backend.
    ///
    /// # Errors
    /// [`BackendMissing`] with the reason, for [`Backend::IpsecMb`] only.
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

    /// The backends that this host can run, at least two.
    pub fn present() -> impl Iterator<Item = Available> {
        Backend::ALL
            .into_iter()
            .filter_map(|backend| backend.available().ok())
    }
}

/// A backend that this host can run. Only [`Backend::available`] creates one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available(Backend);

impl Available {
    /// The backend that was checked.
    pub fn backend(self) -> Backend {
        self.0
    }
}

/// A backend that this host cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backend {} is not available on this host: {reason}", .backend.name())]
pub struct BackendMissing {
    /// The requested backend.
    pub backend: Backend,
    /// Why the library cannot be used.
    pub reason: Unavailable,
}

/// The backends that an SA uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The fastest backend on this CPU for each cipher, direction and packet length. It is measured once
    /// per process and cipher, at seven lengths; at each length no round starts after 16 ms.
    #[default]
    Auto,
    /// The same backend for every packet.
    Only(Available),
}

/// Creates a backend's keyed cipher. `secret` has the length that the cipher requires.
pub(super) fn keyed_cipher(
    backend: Available,
    cipher: Cipher,
    secret: &[u8],
) -> Box<dyn KeyedCipher> {
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

    /// Other tests run over the available backends, so this one checks which those must be.
    #[test]
    fn built_in_backends_are_available_and_ipsec_mb_where_its_library_is_installed() {
        let present: Vec<_> = Backend::present().map(Available::backend).collect();
        let expected = if Library::get().is_ok() { 3 } else { 2 };
        assert_eq!(present, Backend::ALL[..expected]);
    }
}
