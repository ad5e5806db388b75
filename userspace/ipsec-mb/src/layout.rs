//! The part of the C header of version 1.3.0 that this crate uses.
//!
//! A C program that included the header printed the offsets at the end of this file. The build fails if the structures
//! here do not match them.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The version of these structures: 1.3.0, as `imb_get_version` returns it.
pub const VERSION: u32 = 0x0001_0300;
/// The result of `imb_get_mb_mgr_size` for this layout, in bytes. It includes the fields behind those declared below, and
/// therefore detects a build with other fields.
pub const MANAGER_SIZE: usize = 200_744;

/// Bits of [`Manager::features`].
pub const AESNI: u64 = 1 << 1;
pub const PCLMULQDQ: u64 = 1 << 2;
pub const AESNI_EMULATED: u64 = 1 << 19;
pub const SELF_TEST_PASSED: u64 = 1 << 21;

/// Bytes of `struct gcm_key_data`.
const KEY_DATA_LEN: usize = 1024;

/// `struct gcm_key_data`: round keys and powers of the hash key.
#[repr(C, align(64))]
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KeyData([u8; KEY_DATA_LEN]);

impl KeyData {
    pub const fn zeroed() -> KeyData {
        KeyData([0; KEY_DATA_LEN])
    }

    /// The cache lines that even the shortest packet needs. The first three hold the round keys of AES-128. With VAES the
    /// last two hold the lowest powers of the hash key.
    #[inline]
    pub fn hot_lines(&self) -> impl Iterator<Item = &[u8]> {
        let (lines, _) = self.0.as_chunks::<64>();
        let (first, last) = (&lines[..3], &lines[lines.len() - 2..]);
        first.iter().chain(last).map(|line| &line[..])
    }
}

/// `struct gcm_context_data`, which the one-call functions use as scratch.
#[repr(C)]
pub struct Context([u64; 11]);

/// `aes_gcm_pre_t`: key, data to fill.
pub type Expand = unsafe extern "C" fn(*const u8, *mut KeyData);

/// `aes_gcm_enc_dec_t`: data, context, output, input and its length, 12 bytes of IV, AAD and its
/// length, tag and its length.
pub type Gcm = unsafe extern "C" fn(
    *const KeyData,
    *mut Context,
    *mut u8,
    *const u8,
    u64,
    *const u8,
    *const u8,
    u64,
    *mut u8,
    u64,
);

/// `get_next_job_t` and `submit_job_t`.
pub type NextJob = unsafe extern "C" fn(*mut Manager) -> *mut Job;

/// A function pointer of the manager's table; null if the library does not implement the function.
type Entry<F> = Option<F>;
type Unused = *const c_void;

/// The first fields of `struct IMB_MGR`.
#[repr(C)]
pub struct Manager {
    flags: u64,
    pub features: u64,
    reserved: [u64; 5],
    used_arch: u32,
    errno: c_int,
    pub get_next_job: Entry<NextJob>,
    submit_job: Unused,
    pub submit_job_nocheck: Entry<NextJob>,
    up_to_gcm: [Unused; 21],
    pub gcm128_enc: Entry<Gcm>,
    gcm192_enc: Unused,
    pub gcm256_enc: Entry<Gcm>,
    pub gcm128_dec: Entry<Gcm>,
    gcm192_dec: Unused,
    pub gcm256_dec: Entry<Gcm>,
    up_to_pre: [Unused; 18],
    pub gcm128_pre: Entry<Expand>,
    gcm192_pre: Unused,
    pub gcm256_pre: Entry<Expand>,
    up_to_queue: [Unused; 68],
    /// Byte offset of the oldest unfinished job in the ring behind these fields; negative if there is none.
    pub earliest_job: c_int,
    /// Byte offset of the job to fill in next.
    pub next_job: c_int,
}

/// `struct IMB_JOB`, with the variant of its union for ChaCha20-Poly1305.
#[repr(C)]
pub struct Job {
    pub enc_keys: *const u8,
    pub dec_keys: *const u8,
    pub key_len: u64,
    pub src: *const u8,
    pub dst: *mut u8,
    pub cipher_start: u64,
    pub cipher_len: u64,
    pub hash_start: u64,
    pub hash_len: u64,
    pub iv: *const u8,
    pub iv_len: u64,
    pub tag: *mut u8,
    pub tag_len: u64,
    pub aad: *const u8,
    pub aad_len: u64,
    sgl_context: *mut c_void,
    pub status: c_int,
    pub cipher_mode: c_int,
    pub direction: c_int,
    pub hash_alg: c_int,
    pub order: c_int,
    user_data: [*mut c_void; 2],
    functions: [Unused; 2],
    sgl_state: c_int,
    next_iv: *mut c_void,
}

/// Values of [`Job::status`], [`Job::cipher_mode`], [`Job::hash_alg`], [`Job::direction`], [`Job::order`].
pub const COMPLETED: c_int = 3;
pub const CIPHER_CHACHA20_POLY1305: c_int = 19;
pub const HASH_CHACHA20_POLY1305: c_int = 29;
pub const ENCRYPT: c_int = 1;
pub const DECRYPT: c_int = 2;
pub const CIPHER_THEN_HASH: c_int = 1;
pub const HASH_THEN_CIPHER: c_int = 2;

const _: () = {
    assert!(size_of::<Context>() == 88);
    assert!(offset_of!(Manager, features) == 8);
    assert!(offset_of!(Manager, errno) == 60);
    assert!(offset_of!(Manager, get_next_job) == 64);
    assert!(offset_of!(Manager, submit_job_nocheck) == 80);
    assert!(offset_of!(Manager, gcm128_enc) == 256);
    assert!(offset_of!(Manager, gcm256_enc) == 272);
    assert!(offset_of!(Manager, gcm128_dec) == 280);
    assert!(offset_of!(Manager, gcm256_dec) == 296);
    assert!(offset_of!(Manager, gcm128_pre) == 448);
    assert!(offset_of!(Manager, gcm256_pre) == 464);
    assert!(offset_of!(Manager, earliest_job) == 1016);
    assert!(offset_of!(Manager, next_job) == 1020);
    assert!(size_of::<Job>() == 200);
    assert!(offset_of!(Job, src) == 24);
    assert!(offset_of!(Job, cipher_len) == 48);
    assert!(offset_of!(Job, hash_len) == 64);
    assert!(offset_of!(Job, iv) == 72);
    assert!(offset_of!(Job, tag) == 88);
    assert!(offset_of!(Job, aad) == 104);
    assert!(offset_of!(Job, status) == 128);
    assert!(offset_of!(Job, order) == 144);
    assert!(offset_of!(Job, user_data) == 152);
    assert!(offset_of!(Job, sgl_state) == 184);
};
