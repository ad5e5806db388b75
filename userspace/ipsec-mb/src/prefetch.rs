//! Fetching memory before it is needed. It is not of intel-ipsec-mb, but it takes `unsafe`, and this is the room
//! for that beside the ciphers.

/// Asks the CPU to fetch the cache line at the start of `bytes`. It never waits and changes nothing; where there
/// is no byte, or on another CPU than x86-64, it does nothing.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if !bytes.is_empty() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect that a program can see, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// Asks the CPU to fetch the first `bytes` of `value`, for this core alone, as [`prefetch_write`] does.
#[inline]
pub fn prefetch_value<T>(value: &T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..bytes.min(size_of::<T>())).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        let at = std::ptr::from_ref(value).cast::<i8>();
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.wrapping_add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, bytes);
}

/// The same for a line that is about to be written, so that it comes for this core alone.
#[inline]
pub fn prefetch_write(bytes: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if !bytes.is_empty() {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(bytes.as_mut_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
