//! Loads the library, and refuses one that does not match the bindings.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::NonNull;
use std::sync::OnceLock;

use crate::layout::{self, Expand, Gcm, Manager, NextJob};

/// The library's name for the loader. Debian's package libipsec-mb1 contains it.
const SONAME: &str = "libIPSec_MB.so.1";

/// intel-ipsec-mb, loaded and checked. It stays loaded until the process ends.
pub struct Library {
    pub(crate) gcm128: GcmCalls,
    pub(crate) gcm256: GcmCalls,
    pub(crate) next_job: NextJob,
    pub(crate) submit_job: NextJob,
    managers: ManagerCalls,
    /// Keeps the code loaded that the pointers above point to.
    _open: libloading::Library,
}

/// The functions for one length of AES keys.
#[derive(Clone, Copy)]
pub(crate) struct GcmCalls {
    pub(crate) expand: Expand,
    pub(crate) encrypt: Gcm,
    pub(crate) decrypt: Gcm,
}

#[derive(Clone, Copy)]
struct ManagerCalls {
    alloc: unsafe extern "C" fn(u64) -> *mut Manager,
    init: unsafe extern "C" fn(*mut Manager, *mut c_int),
    errno: unsafe extern "C" fn(*mut Manager) -> c_int,
    free: unsafe extern "C" fn(*mut Manager),
}

/// The reasons why intel-ipsec-mb cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The loader did not find or not accept the library; holds the loader's message.
    #[error("intel-ipsec-mb cannot be loaded: {0}; install it (Debian: libipsec-mb1)")]
    NotFound(String),
    /// The library lacks a function that every version of intel-ipsec-mb has; holds the function's name.
    #[error(
        "{SONAME} lacks the function {0}, so it is not intel-ipsec-mb: install intel-ipsec-mb 1.3.0"
    )]
    NoSymbol(&'static str),
    /// The library has another version, whose structures are not declared here; holds the version.
    #[error("expected intel-ipsec-mb 1.3.0, got {0}: install that version")]
    Version(String),
    /// The library has the right version but other structures; holds the size of its manager in bytes.
    #[error(
        "expected an intel-ipsec-mb 1.3.0 whose managers have {expected} bytes, got {0}: install Debian's build",
        expected = layout::MANAGER_SIZE
    )]
    Layout(usize),
    /// The CPU lacks AES-NI or PCLMULQDQ. The library would emulate them in slow code whose timing may depend on the key.
    #[error(
        "this CPU lacks AES-NI or PCLMULQDQ, which intel-ipsec-mb needs: use another crypto backend"
    )]
    Cpu,
    /// The library's known-answer tests failed, or it reported an error; holds the error number.
    #[error("the self-test of intel-ipsec-mb failed (error {0}): install another build of it")]
    SelfTest(c_int),
    /// The library could not allocate a manager.
    #[error("intel-ipsec-mb cannot allocate memory for its state: free some memory")]
    Memory,
}

impl Library {
    /// The library of this process. The first call loads it.
    ///
    /// # Errors
    /// [`Unavailable`], the same for each call.
    pub fn get() -> Result<&'static Library, Unavailable> {
        static OPENED: OnceLock<Result<Library, Unavailable>> = OnceLock::new();
        let opened = OPENED.get_or_init(|| Library::open(SONAME));
        opened.as_ref().map_err(Unavailable::clone)
    }

    fn open(name: &str) -> Result<Library, Unavailable> {
        // SAFETY: the initialisers of intel-ipsec-mb only inspect the CPU. Only the machine's administrator
        // can put another library of that name into the loader's path.
        let open = unsafe { libloading::Library::new(name) }
            .map_err(|error| Unavailable::NotFound(error.to_string()))?;
        check_version(&open)?;
        let managers = ManagerCalls {
            // SAFETY: the four signatures are those in the header of the version that was checked above.
            alloc: unsafe { symbol(&open, "alloc_mb_mgr") }?,
            // SAFETY: as above.
            init: unsafe { symbol(&open, "init_mb_mgr_auto") }?,
            // SAFETY: as above.
            errno: unsafe { symbol(&open, "imb_get_errno") }?,
            // SAFETY: as above.
            free: unsafe { symbol(&open, "free_mb_mgr") }?,
        };
        let manager = ThreadManager::new(managers)?;
        // SAFETY: `new` returned an initialised manager of the version that this layout describes.
        let table = unsafe { manager.0.as_ref() };
        let required = layout::AESNI | layout::PCLMULQDQ;
        if table.features & required != required || table.features & layout::AESNI_EMULATED != 0 {
            return Err(Unavailable::Cpu);
        }
        if table.features & layout::SELF_TEST_PASSED == 0 {
            return Err(Unavailable::SelfTest(0));
        }
        let entries = || {
            Some(Library {
                gcm128: GcmCalls {
                    expand: table.gcm128_pre?,
                    encrypt: table.gcm128_enc?,
                    decrypt: table.gcm128_dec?,
                },
                gcm256: GcmCalls {
                    expand: table.gcm256_pre?,
                    encrypt: table.gcm256_enc?,
                    decrypt: table.gcm256_dec?,
                },
                next_job: table.get_next_job?,
                submit_job: table.submit_job_nocheck?,
                managers,
                _open: open,
            })
        };
        entries().ok_or(Unavailable::NoSymbol("init_mb_mgr_auto"))
    }

    /// Makes a manager for the calling thread.
    pub(crate) fn manager(&self) -> Result<ThreadManager, Unavailable> {
        ThreadManager::new(self.managers)
    }
}

/// Checks the library's version and the size of its largest structure.
fn check_version(open: &libloading::Library) -> Result<(), Unavailable> {
    type Version = unsafe extern "C" fn() -> u32;
    type VersionText = unsafe extern "C" fn() -> *const c_char;
    type Size = unsafe extern "C" fn() -> usize;
    // SAFETY: every version declares these three functions with these signatures.
    let version: Version = unsafe { symbol(open, "imb_get_version") }?;
    // SAFETY: as above.
    let text: VersionText = unsafe { symbol(open, "imb_get_version_str") }?;
    // SAFETY: as above.
    let size: Size = unsafe { symbol(open, "imb_get_mb_mgr_size") }?;
    // SAFETY: the functions take no arguments and return constants of the library.
    let (version, text, size) = unsafe { (version(), text(), size()) };
    if version != layout::VERSION {
        // SAFETY: the text is a constant of the loaded library and ends with a zero byte.
        let text = unsafe { CStr::from_ptr(text) };
        return Err(Unavailable::Version(text.to_string_lossy().into_owned()));
    }
    if size != layout::MANAGER_SIZE {
        return Err(Unavailable::Layout(size));
    }
    Ok(())
}

/// Looks up a function of the library.
///
/// # Safety
/// `F` must be the type of that function.
unsafe fn symbol<F: Copy>(
    open: &libloading::Library,
    name: &'static str,
) -> Result<F, Unavailable> {
    // SAFETY: the caller guarantees the type.
    let found = unsafe { open.get::<F>(name.as_bytes()) };
    found
        .map(|symbol| *symbol)
        .map_err(|_| Unavailable::NoSymbol(name))
}

/// A manager: the state of a job queue, used by one thread at a time.
pub(crate) struct ThreadManager(NonNull<Manager>, ManagerCalls);

impl ThreadManager {
    fn new(calls: ManagerCalls) -> Result<ThreadManager, Unavailable> {
        // SAFETY: the function only allocates. Without flags it disables no feature.
        let manager = unsafe { (calls.alloc)(0) };
        let manager = ThreadManager(NonNull::new(manager).ok_or(Unavailable::Memory)?, calls);
        let mut chosen = 0;
        // SAFETY: the manager is new from `alloc` and has no other user.
        let error = unsafe {
            (calls.init)(manager.0.as_ptr(), &raw mut chosen);
            (calls.errno)(manager.0.as_ptr())
        };
        match error {
            0 => Ok(manager),
            error => Err(Unavailable::SelfTest(error)),
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut Manager {
        self.0.as_ptr()
    }
}

impl Drop for ThreadManager {
    fn drop(&mut self) {
        // SAFETY: the manager came from `alloc` and has no other user.
        unsafe { (self.1.free)(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> Unavailable {
        Library::open(name).err().unwrap()
    }

    #[test]
    fn a_missing_library_is_reported() {
        let refused = refusal("libIPSec_MB-missing.so");
        assert!(matches!(refused, Unavailable::NotFound(_)));
        let text = refused.to_string();
        assert!(
            text.contains("libipsec-mb1") && text.contains("libIPSec_MB-missing"),
            "{text}"
        );
    }

    #[test]
    fn another_library_is_refused() {
        assert_eq!(
            refusal("libc.so.6"),
            Unavailable::NoSymbol("imb_get_version")
        );
    }
}
