//! ChaCha20-Poly1305 by the library's jobs.
//!
//! There are functions without a job as well (init, update, finalize), but they take 247 ns where a job takes
//! 161 (66 bytes), and 562 where it takes 508 (1410 bytes).

use zeroize::Zeroizing;

use crate::key::{ICV_LEN, NONCE_LEN};
use crate::layout::{self, Job, Manager};
use crate::library::{Library, ThreadManager, Unavailable};
use crate::prefetch::prefetch;

/// Length of the key in bytes.
pub const SECRET_LEN: usize = 32;
/// Room for a key in bytes. The library's AVX2 code loads the key's second half with a load of 32 bytes, so
/// it reads 16 beyond the key: valgrind sees it (`cargo xtask verify memory`).
const SECRET_ROOM: usize = 64;

/// A key. Wiped when dropped; boxed, so that moving it leaves no copy.
pub struct ChaChaKey {
    secret: Box<Zeroizing<[u8; SECRET_ROOM]>>,
    library: &'static Library,
}

/// Which way a packet goes.
#[derive(Clone, Copy)]
enum Way {
    Encrypt,
    Decrypt,
}

/// Lets the next job be the ring's first again. The library goes round all 256 of them, 51 kB that would push
/// packets out of the cache.
///
/// # Safety
/// The manager must be live and nobody else's.
#[inline]
unsafe fn rewind(manager: *mut Manager) {
    // SAFETY: the caller vouches for the manager. Where no job is unfinished, the library asks nothing of the
    // place of the next one but that it be in the ring.
    unsafe {
        if (*manager).earliest_job < 0 {
            (*manager).next_job = 0;
        }
    }
}

thread_local! {
    /// A manager weighs 200 kB, so there is one for all keys of a thread; and it is the state of a queue,
    /// so threads do not share it.
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

    /// Fetches it ahead.
    #[inline]
    pub fn fetch(&self) {
        prefetch(&**self.secret);
    }

    /// Encrypts `from` into `to`, of equal length, and gives the tag. `None` if this thread got no
    /// manager or the library did not finish.
    #[inline]
    pub fn encrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
    ) -> Option<[u8; ICV_LEN]> {
        self.call(Way::Encrypt, nonce, aad, from, to)
    }

    /// Decrypts `from` into `to`, of equal length, and gives the tag that `from` should carry.
    /// `None` as for [`ChaChaKey::encrypt`].
    #[inline]
    pub fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
    ) -> Option<[u8; ICV_LEN]> {
        self.call(Way::Decrypt, nonce, aad, from, to)
    }

    #[inline]
    fn call(
        &self,
        way: Way,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        from: &[u8],
        to: &mut [u8],
    ) -> Option<[u8; ICV_LEN]> {
        assert_eq!(from.len(), to.len());
        let mut tag = [0; ICV_LEN];
        let done = MANAGER.with(|manager| {
            let manager = manager.as_ref().ok()?.as_ptr();
            // SAFETY: the manager is this thread's own and no job of it is being filled in.
            let job = unsafe { (self.library.next_job)(manager) };
            // SAFETY: the job is one of the manager's ring, with every byte initialised, and its
            // alone until it is submitted.
            let fields = unsafe { job.as_mut() }?;
            self.fill(fields, way, nonce, aad, from, to, &mut tag);
            // SAFETY: the job is filled in, and all that it points to outlives this call, in which
            // the library finishes it: no job of this cipher is ever kept back.
            let done = unsafe { (self.library.submit_job)(manager) };
            // SAFETY: null, or a job of the ring.
            let completed = unsafe { done.as_ref() }?.status == layout::COMPLETED;
            // SAFETY: the manager is this thread's own, and no reference to a job of it is left.
            unsafe { rewind(manager) };
            Some(completed)
        })?;
        done.then_some(tag)
    }

    #[inline]
    #[expect(clippy::too_many_arguments, reason = "they are what a job is made of")]
    fn fill(
        &self,
        job: &mut Job,
        way: Way,
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
        (job.direction, job.order) = match way {
            Way::Encrypt => (layout::ENCRYPT, layout::CIPHER_THEN_HASH),
            Way::Decrypt => (layout::DECRYPT, layout::HASH_THEN_CIPHER),
        };
    }
}
