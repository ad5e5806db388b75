//! AES-GCM with the library's one-call functions.

use std::mem::MaybeUninit;

use crate::layout::{Context, Gcm, KeyData};
use crate::lengths::{ICV_LEN, NONCE_LEN};
use crate::library::GcmCalls;
use crate::prefetch::prefetch;

/// Round keys and powers of the hash key, wiped when dropped. [`GcmKey::expand`] fills it in place, since moving an
/// expanded key would leave a copy behind.
pub struct GcmKey {
    data: KeyData,
    calls: GcmCalls,
}

impl GcmKey {
    /// Makes storage for a key that is expanded later.
    pub fn empty(calls: GcmCalls) -> GcmKey {
        let data = KeyData::zeroed();
        GcmKey { data, calls }
    }

    /// Expands a secret into this key.
    ///
    /// # Safety
    /// `secret` must have the key length of the calls.
    pub unsafe fn expand(&mut self, secret: &[u8]) {
        // SAFETY: the caller guarantees the length of the secret. The data has the size and the
        // alignment of the library's structure.
        unsafe { (self.calls.expand)(secret.as_ptr(), &raw mut self.data) };
    }

    /// Prefetches the cache lines that every packet needs: round keys and the lowest powers of the hash key.
    #[inline]
    pub fn fetch(&self) {
        for line in self.data.hot_lines() {
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

    /// Decrypts `from` into `to`, of equal length, and returns the tag that belongs to `from`.
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
        let nonce = SingleStore::new(nonce);
        let short_aad = aad.try_into().ok().map(SingleStore::new);
        let aad_start = short_aad.as_ref().map_or(aad.as_ptr(), SingleStore::as_ptr);
        let mut context = MaybeUninit::<Context>::uninit();
        // SAFETY: the key data was expanded for this function's key length and is only read. The function
        // initialises the context before it reads it. It reads `from`, `aad` and 12 bytes of nonce. It
        // writes 16 bytes to `tag` and `from.len()` bytes to `to`, which is as long. All of them are live,
        // and those written are borrowed exclusively.
        unsafe {
            function(
                &raw const self.data,
                context.as_mut_ptr(),
                to.as_mut_ptr(),
                from.as_ptr(),
                from.len() as u64,
                nonce.as_ptr(),
                aad_start,
                aad.len() as u64,
                tag.as_mut_ptr(),
                ICV_LEN as u64,
            );
        }
    }
}

/// Twelve bytes written by a single store.
///
/// The library starts by loading a nonce and an AAD of twelve bytes with one load each. Such a load cannot be forwarded
/// from two separate stores. It would wait until both stores are in the cache and, since stores retire in order, until
/// the previous packet is written. A load can be forwarded from a single store.
#[cfg(target_arch = "x86_64")]
struct SingleStore(std::arch::x86_64::__m128i);
#[cfg(not(target_arch = "x86_64"))]
struct SingleStore([u8; NONCE_LEN]);

impl SingleStore {
    /// Reads the bytes as the two values that were written: the salt or the SPI, and the sequence number.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn new(bytes: &[u8; NONCE_LEN]) -> SingleStore {
        use std::arch::x86_64::{
            _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm_or_si128, _mm_slli_si128,
        };
        let (head, tail) = bytes.split_at(4);
        let head = head.try_into().map_or(0, i32::from_ne_bytes);
        let tail = tail.try_into().map_or(0, i64::from_ne_bytes);
        // SAFETY: SSE2 is part of x86-64.
        #[allow(unused_unsafe, reason = "safe in newer compilers")]
        let joined = unsafe {
            _mm_or_si128(
                _mm_cvtsi32_si128(head),
                _mm_slli_si128::<4>(_mm_cvtsi64_si128(tail)),
            )
        };
        SingleStore(joined)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn new(bytes: &[u8; NONCE_LEN]) -> SingleStore {
        SingleStore(*bytes)
    }

    #[inline]
    fn as_ptr(&self) -> *const u8 {
        (&raw const self.0).cast()
    }
}

/// The structure that holds keys is wiped on drop.
#[cfg(test)]
#[test]
fn key_data_is_wiped_on_drop() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<KeyData>();
}
