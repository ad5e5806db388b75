//! intel-ipsec-mb: the widest vector instructions of this CPU, where the library is installed.

use aes_gcm::aead::Error;
use causeway_ipsec_mb::{Cipher as Name, Key, Library};

use super::keyed_cipher::KeyedCipher;
use crate::cipher::Cipher;
use crate::wire::{ICV_LEN, NONCE_LEN};

/// Expands a key with the library. The key is wiped when dropped.
pub(super) fn key(cipher: Cipher, secret: &[u8]) -> Box<Key> {
    let library = Library::get().expect("an Available backend has a library");
    let name = match cipher {
        Cipher::Aes128Gcm => Name::Aes128Gcm,
        Cipher::Aes256Gcm => Name::Aes256Gcm,
        Cipher::ChaCha20Poly1305 => Name::ChaCha20Poly1305,
    };
    Key::new(library, name, secret).expect("Key::new has checked the length")
}

impl KeyedCipher for Key {
    fn fetch(&self) {
        Key::fetch(self);
    }

    fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Error> {
        let sealed = self.seal(nonce, aad, plaintext, ciphertext, icv);
        sealed.map_err(|_| Error)
    }

    fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        icv: &[u8; ICV_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        let opened = self.open(nonce, aad, ciphertext, icv, plaintext);
        opened.map_err(|_| Error)
    }
}
