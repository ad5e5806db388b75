//! The AEAD calls: a nonce is consumed by sealing, a candidate becomes authentic by opening.

use aes_gcm::aead::Error;
use zeroize::Zeroizing;

use crate::key::{Key, SALT_LEN};
use crate::sequence::Nonce;
use crate::spi::Spi;
use crate::window::Candidate;
use backend::{Keyed, keyed};
use fastest::Split;

pub use backend::{Available, Backend, BackendChoice, BackendMissing};

mod aws_lc;
mod backend;
mod fastest;
mod ipsec_mb;
mod rustcrypto;

/// Length of the explicit IV in bytes (RFC 4106 section 3.1, RFC 7634 section 2).
pub(crate) const IV_LEN: usize = 8;
/// Length of the ICV in bytes (RFC 8221 section 5 asks for the full 16).
pub(crate) const ICV_LEN: usize = 16;
/// Length of the AEAD's nonce in bytes: salt and IV.
const NONCE_LEN: usize = SALT_LEN + IV_LEN;

/// A number whose packet carried a valid ICV. Only [`Aead::open`] makes one.
pub(crate) struct Authentic(Candidate);

impl Authentic {
    pub(crate) fn number(&self) -> u64 {
        self.0.number()
    }

    /// For tests and benches of the window alone.
    #[cfg(any(test, feature = "pieces"))]
    pub(crate) fn assume(candidate: Candidate) -> Authentic {
        Authentic(candidate)
    }
}

/// A packet whose ICV is not valid.
pub(crate) struct Forged;

/// What an SA does with its key.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Seal,
    Open,
}

/// A keyed cipher with its salt, all of it wiped when dropped.
pub(crate) struct Aead {
    /// Who serves plaintexts up to so many bytes, in rising order; mostly nobody but `longest`.
    shorter: Box<[(usize, Box<dyn Keyed>)]>,
    longest: Box<dyn Keyed>,
    salt: Zeroizing<[u8; SALT_LEN]>,
    esn: bool,
}

impl Aead {
    pub(crate) fn new(key: &Key, esn: bool, choice: BackendChoice, way: Way) -> Aead {
        match choice {
            BackendChoice::Auto => Aead::split(key, esn, fastest::fastest(key.cipher(), way)),
            BackendChoice::Only(backend) => Aead::split(key, esn, &Split::only(backend)),
        }
    }

    fn split(key: &Key, esn: bool, split: &Split) -> Aead {
        let keyed = |backend| keyed(backend, key.cipher(), key.secret());
        let shorter = split.shorter.iter();
        Aead {
            shorter: shorter
                .map(|&(limit, backend)| (limit, keyed(backend)))
                .collect(),
            longest: keyed(split.longest),
            salt: key.salt(),
            esn,
        }
    }

    /// Encrypts `plaintext` into `ciphertext` (of equal length) in one pass and writes the ICV. The IV is the
    /// sequence number.
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: Nonce,
        spi: Spi,
        plaintext: &[u8],
        ciphertext: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Error> {
        let iv = nonce.iv();
        let aad = Aad::new(spi, nonce.number(), self.esn);
        let aad = aad.bytes();
        self.keyed(plaintext.len())
            .encrypt(&self.nonce(&iv), aad, plaintext, ciphertext, icv)
    }

    /// Verifies the ICV and then decrypts `ciphertext` into `plaintext` (of equal length).
    /// Unless the ICV is valid, `plaintext` stays as it was or is zeroed.
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
        let aad = Aad::new(spi, candidate.number(), self.esn);
        self.keyed(ciphertext.len())
            .decrypt(&self.nonce(iv), aad.bytes(), ciphertext, icv, plaintext)
            .map_err(|_| Forged)?;
        Ok(Authentic(candidate))
    }

    /// Fetches ahead what every packet takes of the key.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.longest.fetch();
    }

    #[inline]
    fn keyed(&self, len: usize) -> &dyn Keyed {
        for (limit, keyed) in &self.shorter {
            if len <= *limit {
                return &**keyed;
            }
        }
        &*self.longest
    }

    #[inline]
    fn nonce(&self, iv: &[u8; IV_LEN]) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[..SALT_LEN].copy_from_slice(&*self.salt);
        nonce[SALT_LEN..].copy_from_slice(iv);
        nonce
    }
}

/// What the ICV covers beside the ciphertext: the SPI and the 64-bit number, without ESN the SPI and
/// the 32-bit number (RFC 4106 section 5, RFC 7634 section 2.1).
struct Aad {
    bytes: [u8; 12],
    len: usize,
}

impl Aad {
    #[inline]
    fn new(spi: Spi, number: u64, esn: bool) -> Aad {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&spi.get().to_be_bytes());
        if esn {
            bytes[4..].copy_from_slice(&number.to_be_bytes());
        } else {
            bytes[4..8].copy_from_slice(&(number as u32).to_be_bytes());
        }
        Aad {
            bytes,
            len: if esn { 12 } else { 8 },
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod vectors;
