//! Prefetching of cache lines. It is independent of intel-ipsec-mb, but needs `unsafe`, which this crate may use.

/// Prefetches the cache line at the start of `bytes`. It never waits. It has no effect if `bytes` is empty, or on CPUs
/// other than x86-64.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if !bytes.is_empty() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is valid and has no visible effect.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// Prefetches the first `bytes` bytes of `value` for writing, as [`prefetch_write`] does.
#[inline]
pub fn prefetch_value<T>(value: &T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..bytes.min(size_of::<T>())).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        let start = std::ptr::from_ref(value).cast::<i8>();
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(start.wrapping_add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, bytes);
}

/// Prefetches the cache line at the start of `bytes` for writing, that is with exclusive ownership for this core.
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
