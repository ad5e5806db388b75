//! ChaCha20-Poly1305 with the library's jobs.
//!
//! The library also has functions without a job (init, update, finalize), but they are slower: 247 ns instead of 161 ns
//! at 66 bytes, and 562 ns instead of 508 ns at 1410 bytes.

use zeroize::Zeroizing;

use crate::layout::{self, Job, Manager};
use crate::lengths::{ICV_LEN, NONCE_LEN};
use crate::library::{Library, ThreadManager, Unavailable};
use crate::prefetch::prefetch;

/// Length of the key in bytes.
pub const SECRET_LEN: usize = 32;
/// Size of a key's buffer in bytes. The library's AVX2 code loads the second half of the key with a load of 32 bytes and
/// thus reads 16 bytes beyond the key; valgrind reports that (`cargo xtask verify memory`).
const SECRET_ROOM: usize = 64;

/// A key, wiped when dropped. It is boxed, so that moving it leaves no copy behind.
pub struct ChaChaKey {
    secret: Box<Zeroizing<[u8; SECRET_ROOM]>>,
    library: &'static Library,
}

#[derive(Clone, Copy)]
pub enum Direction {
    Encrypt,
    Decrypt,
}

/// Makes the next job the first one of the ring again. The library would otherwise cycle through all 256 jobs, and their
/// 51 kB would evict packets from the cache.
///
/// # Safety
/// The manager must be live, and the caller must have exclusive access to it.
#[inline]
unsafe fn rewind(manager: *mut Manager) {
    // SAFETY: the caller guarantees access to the manager. If no job is unfinished, the next job may be any job of the
    // ring.
    unsafe {
        if (*manager).earliest_job < 0 {
            (*manager).next_job = 0;
        }
    }
}

thread_local! {
    /// All keys of a thread share one manager, since a manager has 200 kB. Threads cannot share a manager, since it is the
    /// state of a job queue.
    static MANAGER: Result<ThreadManager, Unavailable> = Library::get().and_then(Library::manager);
}

impl ChaChaKey {
    pub fn new(library: &'static Library, secret: &[u8; SECRET_LEN]) -> ChaChaKey {
        let mut boxed = Box::new(Zeroizing::new([0; SECRET_ROOM]));
        boxed[..SECRET_LEN].copy_from_slice(secret);
        ChaChaKey {
            secret: boxed,
            library,
        }
    }

    /// Prefetches the key.
    #[inline]
    pub fn fetch(&self) {
        prefetch(&**self.secret);
    }

    /// Encrypts or decrypts `from` into `to`, of equal length, and returns the tag that belongs to the ciphertext. `None` if
    /// this thread has no manager or the library did not complete the job.
    #[inline]
    pub fn call(
        &self,
        direction: Direction,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
    ) -> Option<[u8; ICV_LEN]> {
        assert_eq!(from.len(), to.len());
        let mut tag = [0; ICV_LEN];
        let done = MANAGER.with(|manager| {
            let manager = manager.as_ref().ok()?.as_ptr();
            // SAFETY: only this thread uses the manager, and no job of it is being filled in.
            let job = unsafe { (self.library.next_job)(manager) };
            // SAFETY: the job is in the manager's ring, every byte of it is initialised, and there is no
            // other reference to it before it is submitted.
            let fields = unsafe { job.as_mut() }?;
            self.fill(fields, direction, nonce, aad, from, to, &mut tag);
            // SAFETY: the job is filled in. Everything that it points to outlives this call, and the
            // library completes a job of this cipher within the call.
            let done = unsafe { (self.library.submit_job)(manager) };
            // SAFETY: the pointer is null or points to a job of the ring.
            let completed = unsafe { done.as_ref() }?.status == layout::COMPLETED;
            // SAFETY: only this thread uses the manager, and no reference to a job of it is left.
            unsafe { rewind(manager) };
            Some(completed)
        })?;
        done.then_some(tag)
    }

    #[inline]
    #[expect(clippy::too_many_arguments, reason = "these are the inputs of a job")]
    fn fill(
        &self,
        job: &mut Job,
        direction: Direction,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
        tag: &mut [u8; ICV_LEN],
    ) {
        let len = from.len() as u64;
        job.enc_keys = self.secret.as_ptr();
        job.dec_keys = self.secret.as_ptr();
        job.key_len = SECRET_LEN as u64;
        job.src = from.as_ptr();
        job.dst = to.as_mut_ptr();
        job.cipher_start = 0;
        job.cipher_len = len;
        job.hash_start = 0;
        job.hash_len = len;
        job.iv = nonce.as_ptr();
        job.iv_len = NONCE_LEN as u64;
        job.tag = tag.as_mut_ptr();
        job.tag_len = ICV_LEN as u64;
        job.aad = aad.as_ptr();
        job.aad_len = aad.len() as u64;
        job.cipher_mode = layout::CIPHER_CHACHA20_POLY1305;
        job.hash_alg = layout::HASH_CHACHA20_POLY1305;
        (job.direction, job.order) = match direction {
            Direction::Encrypt => (layout::ENCRYPT, layout::CIPHER_THEN_HASH),
            Direction::Decrypt => (layout::DECRYPT, layout::HASH_THEN_CIPHER),
        };
    }
}
