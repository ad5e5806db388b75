//! Finding the library, and refusing one that is not what the bindings describe.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::NonNull;
use std::sync::OnceLock;

use crate::layout::{self, Expand, Gcm, Manager, NextJob};

/// Its name for the loader: Debian's package libipsec-mb1 brings it.
const SONAME: &str = "libIPSec_MB.so.1";

/// intel-ipsec-mb, opened and checked. It stays open until the process ends.
pub struct Library {
    pub(crate) gcm128: GcmCalls,
    pub(crate) gcm256: GcmCalls,
    pub(crate) next_job: NextJob,
    pub(crate) submit_job: NextJob,
    managers: ManagerCalls,
    /// What the pointers above point into.
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

/// Why intel-ipsec-mb cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The loader does not find or does not take it; holds what the loader says.
    #[error("expected intel-ipsec-mb (Debian: libipsec-mb1), got: {0}; install it")]
    NotFound(String),
    /// A library of that name without a function that every version has; holds the function.
    #[error("expected the function {0} in {SONAME}: it is not intel-ipsec-mb")]
    NoSymbol(&'static str),
    /// Another version, whose structures are not known here; holds it.
    #[error("expected intel-ipsec-mb 1.3.0, got {0}: install that version")]
    Version(String),
    /// The right version, built with other structures; holds a manager's size in bytes.
    #[error(
        "expected an intel-ipsec-mb 1.3.0 with managers of {expected} bytes, got {0}: install Debian's build",
        expected = layout::MANAGER_SIZE
    )]
    Layout(usize),
    /// The CPU lacks AES-NI or PCLMULQDQ, so that the library would emulate them in slow code
    /// whose time may hang on the key.
    #[error(
        "this CPU has no AES-NI or no PCLMULQDQ, without which intel-ipsec-mb is not worth using"
    )]
    Cpu,
    /// The library's own known-answer tests failed, or it reports an error; holds its number.
    #[error("intel-ipsec-mb's self-test failed (its error {0}): do not use this build of it")]
    SelfTest(c_int),
    /// There is no memory for a manager.
    #[error("intel-ipsec-mb got no memory for its state: free some")]
    Memory,
}

impl Library {
    /// The library of this process, opened when asked for the first time.
    ///
    /// # Errors
    /// [`Unavailable`], the same each time.
    pub fn get() -> Result<&'static Library, Unavailable> {
        static OPENED: OnceLock<Result<Library, Unavailable>> = OnceLock::new();
        let opened = OPENED.get_or_init(|| Library::open(SONAME));
        opened.as_ref().map_err(Unavailable::clone)
    }

    fn open(name: &str) -> Result<Library, Unavailable> {
        // SAFETY: the initialisers of intel-ipsec-mb only look at the CPU. Whatever else carries its
        // name was put where the loader looks by whoever administers this machine.
        let open = unsafe { libloading::Library::new(name) }
            .map_err(|error| Unavailable::NotFound(error.to_string()))?;
        check_version(&open)?;
        let managers = ManagerCalls {
            // SAFETY: the four signatures are those of the header of the version just checked.
            alloc: unsafe { symbol(&open, "alloc_mb_mgr") }?,
            // SAFETY: as above.
            init: unsafe { symbol(&open, "init_mb_mgr_auto") }?,
            // SAFETY: as above.
            errno: unsafe { symbol(&open, "imb_get_errno") }?,
            // SAFETY: as above.
            free: unsafe { symbol(&open, "free_mb_mgr") }?,
        };
        let manager = ThreadManager::new(managers)?;
        // SAFETY: `new` gave a manager that is filled in, of the version whose layout this is.
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

    /// A manager of the caller's own.
    pub(crate) fn manager(&self) -> Result<ThreadManager, Unavailable> {
        ThreadManager::new(self.managers)
    }
}

/// Asks the library for its version and for the size of its largest structure.
fn check_version(open: &libloading::Library) -> Result<(), Unavailable> {
    type Version = unsafe extern "C" fn() -> u32;
    type VersionText = unsafe extern "C" fn() -> *const c_char;
    type Size = unsafe extern "C" fn() -> usize;
    // SAFETY: every version declares these three like this.
    let version: Version = unsafe { symbol(open, "imb_get_version") }?;
    // SAFETY: as above.
    let text: VersionText = unsafe { symbol(open, "imb_get_version_str") }?;
    // SAFETY: as above.
    let size: Size = unsafe { symbol(open, "imb_get_mb_mgr_size") }?;
    // SAFETY: they take nothing and return constants of the library.
    let (version, text, size) = unsafe { (version(), text(), size()) };
    if version != layout::VERSION {
        // SAFETY: the text is a constant of the library, which is open, and ends with a zero.
        let text = unsafe { CStr::from_ptr(text) };
        return Err(Unavailable::Version(text.to_string_lossy().into_owned()));
    }
    if size != layout::MANAGER_SIZE {
        return Err(Unavailable::Layout(size));
    }
    Ok(())
}

/// A function of the library.
///
/// # Safety
/// `F` must be the type of that function.
unsafe fn symbol<F: Copy>(
    open: &libloading::Library,
    name: &'static str,
) -> Result<F, Unavailable> {
    // SAFETY: the caller vouches for the type.
    let found = unsafe { open.get::<F>(name.as_bytes()) };
    found
        .map(|symbol| *symbol)
        .map_err(|_| Unavailable::NoSymbol(name))
}

/// A manager, which is the state of a queue of jobs: for one thread at a time.
pub(crate) struct ThreadManager(NonNull<Manager>, ManagerCalls);

impl ThreadManager {
    fn new(calls: ManagerCalls) -> Result<ThreadManager, Unavailable> {
        // SAFETY: allocates, without any of the flags that turn a feature off.
        let manager = unsafe { (calls.alloc)(0) };
        let manager = ThreadManager(NonNull::new(manager).ok_or(Unavailable::Memory)?, calls);
        let mut chosen = 0;
        // SAFETY: the manager is fresh from `alloc`, and this is its only user.
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
        // SAFETY: it came from `alloc` and nobody else has it.
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
    fn what_is_not_there_is_named() {
        let refused = refusal("libIPSec_MB-that-is-not-there.so");
        assert!(matches!(refused, Unavailable::NotFound(_)));
        let text = refused.to_string();
        assert!(
            text.contains("libipsec-mb1") && text.contains("that-is-not-there"),
            "{text}"
        );
    }

    #[test]
    fn another_library_is_not_called() {
        assert_eq!(
            refusal("libc.so.6"),
            Unavailable::NoSymbol("imb_get_version")
        );
    }
}
