//! The AEAD calls. Sealing consumes a nonce; opening turns a candidate number into an authentic one.

use aes_gcm::aead::Error;
use zeroize::Zeroizing;

use crate::key::Key;
use crate::sequence::Nonce;
use crate::spi::Spi;
use crate::window::Candidate;
use crate::wire::{ICV_LEN, IV_LEN, NONCE_LEN, SALT_LEN};
use backend::keyed_cipher;
use fastest::BackendsByLength;
use keyed_cipher::KeyedCipher;

pub use backend::{Available, Backend, BackendChoice, BackendMissing};
pub(crate) use direction::Direction;

mod aws_lc;
mod backend;
mod direction;
mod fastest;
mod ipsec_mb;
mod keyed_cipher;
mod rustcrypto;

/// The sequence number of a packet with a valid ICV. Only [`Aead::open`] creates one.
pub(crate) struct Authentic(Candidate);

impl Authentic {
    pub(crate) fn number(&self) -> u64 {
        self.0.number()
    }

    /// Skips verification, for tests and benchmarks of the window alone.
    #[cfg(any(test, feature = "pieces"))]
    pub(crate) fn assume(candidate: Candidate) -> Authentic {
        Authentic(candidate)
    }
}

/// The ICV of a packet is not valid.
pub(crate) struct InvalidIcv;

/// An SA's keyed cipher with its salt. Both are wiped when dropped.
pub(crate) struct Aead {
    /// Length limits in bytes, ascending, each with the backend for plaintexts up to that limit.
    /// Usually empty, because one backend is the fastest at every length.
    shorter: Box<[(usize, Box<dyn KeyedCipher>)]>,
    longest: Box<dyn KeyedCipher>,
    salt: Zeroizing<[u8; SALT_LEN]>,
    esn: bool,
}

impl Aead {
    pub(crate) fn new(key: &Key, esn: bool, choice: BackendChoice, direction: Direction) -> Aead {
        match choice {
            BackendChoice::Auto => {
                Aead::with_backends(key, esn, fastest::fastest(key.cipher(), direction))
            }
            BackendChoice::Only(backend) => {
                Aead::with_backends(key, esn, &BackendsByLength::only(backend))
            }
        }
    }

    fn with_backends(key: &Key, esn: bool, backends: &BackendsByLength) -> Aead {
        let keyed = |backend| keyed_cipher(backend, key.cipher(), key.secret());
        let shorter = backends.shorter.iter();
        Aead {
            shorter: shorter
                .map(|&(limit, backend)| (limit, keyed(backend)))
                .collect(),
            longest: keyed(backends.longest),
            salt: key.salt(),
            esn,
        }
    }

    /// Encrypts `plaintext` into `ciphertext` (of equal length) in one pass and writes the ICV. The IV is
    /// the sequence number.
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
    /// If the ICV is not valid, `plaintext` is unchanged or zeroed.
    #[inline]
    pub(crate) fn open(
        &self,
        candidate: Candidate,
        spi: Spi,
        iv: &[u8; IV_LEN],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<Authentic, InvalidIcv> {
        let aad = Aad::new(spi, candidate.number(), self.esn);
        self.keyed(ciphertext.len())
            .decrypt(&self.nonce(iv), aad.bytes(), ciphertext, icv, plaintext)
            .map_err(|_| InvalidIcv)?;
        Ok(Authentic(candidate))
    }

    /// Prefetches the part of the key that every packet reads.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.longest.fetch();
    }

    #[inline]
    fn keyed(&self, len: usize) -> &dyn KeyedCipher {
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

/// Additional authenticated data: the SPI and the 64-bit sequence number. Without ESN the number has 32
/// bits (RFC 4106 section 5, RFC 7634 section 2.1).
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
