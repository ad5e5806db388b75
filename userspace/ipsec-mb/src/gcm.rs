//! AES-GCM by the library's one-call functions.

use std::mem::MaybeUninit;

use crate::key::{ICV_LEN, NONCE_LEN};
use crate::layout::{Context, Gcm, KeyData};
use crate::library::GcmCalls;

/// Round keys and powers of the hash key. Wiped when dropped; boxed, so that moving it leaves no copy.
pub struct GcmKey {
    data: Box<KeyData>,
    calls: GcmCalls,
}

impl GcmKey {
    /// # Safety
    /// `secret` must be as long as the key that `calls` are for.
    pub unsafe fn new(calls: GcmCalls, secret: &[u8]) -> GcmKey {
        let mut data = Box::new(KeyData::zeroed());
        // SAFETY: the caller vouches for the secret's length; the data has the size and the
        // alignment of the library's structure.
        unsafe { (calls.expand)(secret.as_ptr(), &raw mut *data) };
        GcmKey { data, calls }
    }

    /// Encrypts `from` into `to`, of equal length, and gives the tag.
    #[inline]
    pub fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
    ) -> [u8; ICV_LEN] {
        self.call(self.calls.encrypt, nonce, aad, from, to)
    }

    /// Decrypts `from` into `to`, of equal length, and gives the tag that `from` should carry.
    #[inline]
    pub fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
    ) -> [u8; ICV_LEN] {
        self.call(self.calls.decrypt, nonce, aad, from, to)
    }

    #[inline]
    fn call(
        &self,
        function: Gcm,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
    ) -> [u8; ICV_LEN] {
        assert_eq!(from.len(), to.len());
        let mut context = MaybeUninit::<Context>::uninit();
        let mut tag = [0; ICV_LEN];
        // SAFETY: the data was filled for this function's key length and is only read. The function
        // initialises the context before it reads it. It reads `from`, `aad` and 12 bytes of nonce, and
        // writes as many bytes to `to` as `from` has, which is its length, and 16 to `tag`; all are
        // live, and those written are borrowed exclusively.
        unsafe {
            function(
                &raw const *self.data,
                context.as_mut_ptr(),
                to.as_mut_ptr(),
                from.as_ptr(),
                from.len() as u64,
                nonce.as_ptr(),
                aad.as_ptr(),
                aad.len() as u64,
                tag.as_mut_ptr(),
                ICV_LEN as u64,
            );
        }
        tag
    }
}

/// Keys are wiped: the structure that holds them says so.
#[cfg(test)]
#[test]
fn key_data_is_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<KeyData>();
}
