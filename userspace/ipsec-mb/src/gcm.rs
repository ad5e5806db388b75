//! AES-GCM by the library's one-call functions.

use std::mem::MaybeUninit;

use crate::key::{ICV_LEN, NONCE_LEN};
use crate::layout::{Context, Gcm, KeyData};
use crate::library::GcmCalls;
use crate::prefetch::prefetch;

/// Round keys and powers of the hash key. Wiped when dropped; expanded where it stays, since moving it would leave a copy.
pub struct GcmKey {
    data: KeyData,
    calls: GcmCalls,
}

impl GcmKey {
    /// A place for a key, without one.
    pub fn empty(calls: GcmCalls) -> GcmKey {
        let data = KeyData::zeroed();
        GcmKey { data, calls }
    }

    /// Expands a key into it.
    ///
    /// # Safety
    /// `secret` must be as long as the key that the calls are for.
    pub unsafe fn expand(&mut self, secret: &[u8]) {
        // SAFETY: the caller vouches for the secret's length; the data has the size and the
        // alignment of the library's structure.
        unsafe { (self.calls.expand)(secret.as_ptr(), &raw mut self.data) };
    }

    /// Fetches ahead what every packet takes of it: the round keys, and the lowest powers of the hash key.
    #[inline]
    pub fn fetch(&self) {
        for line in self.data.always() {
            prefetch(line);
        }
    }

    /// Encrypts `from` into `to`, of equal length, and writes the tag.
    #[inline]
    pub fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
        tag: &mut [u8; ICV_LEN],
    ) {
        self.call(self.calls.encrypt, nonce, aad, from, to, tag);
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
        let mut tag = [0; ICV_LEN];
        self.call(self.calls.decrypt, nonce, aad, from, to, &mut tag);
        tag
    }

    #[inline]
    fn call(
        &self,
        function: Gcm,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
        tag: &mut [u8; ICV_LEN],
    ) {
        assert_eq!(from.len(), to.len());
        let (nonce, whole_aad) = (Whole::new(nonce), aad.try_into().ok().map(Whole::new));
        let aad_at = whole_aad.as_ref().map_or(aad.as_ptr(), Whole::as_ptr);
        let mut context = MaybeUninit::<Context>::uninit();
        // SAFETY: the data was filled for this function's key length and is only read. The function
        // initialises the context before it reads it. It reads `from`, `aad` and 12 bytes of nonce, and
        // writes as many bytes to `to` as `from` has, which is its length, and 16 to `tag`; all are
        // live, and those written are borrowed exclusively.
        unsafe {
            function(
                &raw const self.data,
                context.as_mut_ptr(),
                to.as_mut_ptr(),
                from.as_ptr(),
                from.len() as u64,
                nonce.as_ptr(),
                aad_at,
                aad.len() as u64,
                tag.as_mut_ptr(),
                ICV_LEN as u64,
            );
        }
    }
}

/// Twelve bytes that one store has written.
///
/// The library loads a nonce and an AAD of twelve bytes at once, at the start of all that it does. Such a load
/// cannot be served from the two stores by which whoever made them has just written them: it waits until both are in the
/// cache, and stores go in order, so until the packet before is written out. From one store it can.
#[cfg(target_arch = "x86_64")]
struct Whole(std::arch::x86_64::__m128i);
#[cfg(not(target_arch = "x86_64"))]
struct Whole([u8; NONCE_LEN]);

impl Whole {
    /// Reads the bytes in the words in which they were written: the salt or the SPI, and the number.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn new(bytes: &[u8; NONCE_LEN]) -> Whole {
        use std::arch::x86_64::{
            _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm_or_si128, _mm_slli_si128,
        };
        let (head, tail) = bytes.split_at(4);
        let head = head.try_into().map_or(0, i32::from_ne_bytes);
        let tail = tail.try_into().map_or(0, i64::from_ne_bytes);
        // SAFETY: SSE2 is part of x86-64.
        #[allow(unused_unsafe, reason = "newer compilers know that")]
        let whole = unsafe {
            _mm_or_si128(
                _mm_cvtsi32_si128(head),
                _mm_slli_si128::<4>(_mm_cvtsi64_si128(tail)),
            )
        };
        Whole(whole)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn new(bytes: &[u8; NONCE_LEN]) -> Whole {
        Whole(*bytes)
    }

    #[inline]
    fn as_ptr(&self) -> *const u8 {
        (&raw const self.0).cast()
    }
}

/// Keys are wiped: the structure that holds them says so.
#[cfg(test)]
#[test]
fn key_data_is_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<KeyData>();
}
