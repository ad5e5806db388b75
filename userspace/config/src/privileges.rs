//! Checks of the kernel and of the privileges of this process. Each finding has a remedy.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rustix::process::{Resource, getrlimit};

/// The oldest supported kernel: the first long-term one with XDP links that end with their process
/// (5.9), a UMEM shared by several queues (5.10) and BPF memory outside of RLIMIT_MEMLOCK (5.11).
const OLDEST_KERNEL: (u32, u32) = (5, 15);

// Bits of capability sets, from linux/capability.h.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_BPF: u32 = 39;

/// The kernel, and the privileges of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// The effective capability set, bit by bit.
    pub capabilities: u64,
    /// RLIMIT_MEMLOCK in bytes; `None`: unlimited.
    pub memlock: Option<u64>,
    /// The kernel release, such as `6.1.0-18-amd64`.
    pub release: String,
    /// Whether the kernel has BTF of its own types (`/sys/kernel/btf/vmlinux`).
    pub btf: bool,
}

/// A missing privilege or kernel feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Whether Causeway cannot run without it.
    pub required: bool,
    /// The missing item, its purpose, and the remedy.
    pub message: String,
}

impl System {
    /// Reads the state of this process.
    ///
    /// # Errors
    /// `/proc` is not mounted or has an unexpected format.
    pub fn read() -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")
            .context("cannot read the capabilities of this process; is /proc mounted?")?;
        Ok(Self {
            capabilities: effective(&status)
                .context("/proc/self/status has no line CapEff with a hexadecimal number")?,
            memlock: getrlimit(Resource::Memlock).current,
            release: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
        })
    }

    /// The missing items for the XDP program and, with `workers`, for AF_XDP sockets.
    pub fn missing(&self, workers: bool) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut require = |present: bool, message: &str| {
            if !present {
                missing.push(Missing {
                    required: true,
                    message: message.to_owned(),
                });
            }
        };
        require(
            self.has(CAP_NET_ADMIN),
            "CAP_NET_ADMIN is missing; it is needed to attach the XDP program. Run as root, or give \
             the service AmbientCapabilities=CAP_NET_ADMIN CAP_BPF CAP_NET_RAW CAP_IPC_LOCK",
        );
        require(
            self.has(CAP_BPF) || self.has(CAP_SYS_ADMIN),
            "CAP_BPF is missing; it is needed to load the XDP program and to fill its maps. Run as \
             root, or give the service CAP_BPF",
        );
        require(
            !workers || self.has(CAP_NET_RAW),
            "CAP_NET_RAW is missing; it is needed for the workers' AF_XDP sockets. Run as root, or \
             give the service CAP_NET_RAW",
        );
        let (major, minor) = OLDEST_KERNEL;
        if kernel(&self.release).is_none_or(|kernel| kernel < OLDEST_KERNEL) {
            missing.push(Missing {
                required: true,
                message: format!(
                    "the kernel is {}; {major}.{minor} or later is needed, for XDP links and for a \
                     UMEM that several queues share",
                    self.release
                ),
            });
        }
        if workers
            && !self.has(CAP_IPC_LOCK)
            && let Some(limit) = self.memlock
        {
            missing.push(Missing {
                required: false,
                message: format!(
                    "CAP_IPC_LOCK is missing and RLIMIT_MEMLOCK is {limit} bytes; a larger UMEM \
                     cannot be registered. Give the service CAP_IPC_LOCK or \
                     LimitMEMLOCK=infinity"
                ),
            });
        }
        if !self.btf {
            missing.push(Missing {
                required: false,
                message: "/sys/kernel/btf/vmlinux is missing; the XDP program loads without it, \
                           but bpftool shows its maps without types. CONFIG_DEBUG_INFO_BTF \
                           adds it"
                    .to_owned(),
            });
        }
        missing
    }

    /// The limit of locked memory for this process, in bytes; `None`: unlimited.
    pub fn lockable(&self) -> Option<u64> {
        self.memlock.filter(|_| !self.has(CAP_IPC_LOCK))
    }

    fn has(&self, capability: u32) -> bool {
        self.capabilities >> capability & 1 == 1
    }
}

fn effective(status: &str) -> Option<u64> {
    let digits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

fn kernel(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> System {
        System {
            capabilities: u64::MAX,
            memlock: None,
            release: "6.1.0-18-amd64".to_owned(),
            btf: true,
        }
    }

    fn without(capabilities: &[u32]) -> System {
        let mask: u64 = capabilities.iter().map(|bit| 1 << bit).sum();
        System {
            capabilities: !mask,
            ..root()
        }
    }

    /// The only missing item: whether it is required, and its message.
    #[track_caller]
    fn only(system: &System, workers: bool) -> (bool, String) {
        let mut missing = system.missing(workers);
        assert_eq!(missing.len(), 1, "{missing:?}");
        let Missing { required, message } = missing.remove(0);
        (required, message)
    }

    #[test]
    fn root_on_a_current_kernel_lacks_nothing() {
        assert_eq!(root().missing(true), []);
    }

    #[test]
    fn each_missing_capability_is_named() {
        for (bit, name) in [
            (CAP_NET_ADMIN, "CAP_NET_ADMIN is missing"),
            (CAP_NET_RAW, "CAP_NET_RAW is missing"),
        ] {
            let (required, message) = only(&without(&[bit]), true);
            assert!(required && message.starts_with(name), "{message}");
        }
        let (required, message) = only(&without(&[CAP_BPF, CAP_SYS_ADMIN]), true);
        assert!(
            required && message.starts_with("CAP_BPF is missing"),
            "{message}"
        );
        assert_eq!(without(&[CAP_BPF]).missing(true), []);
        assert_eq!(without(&[CAP_SYS_ADMIN]).missing(true), []);
    }

    #[test]
    fn socket_privileges_are_needed_only_with_workers() {
        assert_eq!(without(&[CAP_NET_RAW, CAP_IPC_LOCK]).missing(false), []);
    }

    #[test]
    fn the_memlock_limit_applies_without_its_capability() {
        let limited = |capabilities| System {
            memlock: Some(8 << 20),
            ..without(capabilities)
        };
        assert_eq!(limited(&[]).missing(true), []);
        assert_eq!(without(&[CAP_IPC_LOCK]).missing(true), []);
        let (required, message) = only(&limited(&[CAP_IPC_LOCK]), true);
        assert!(
            !required && message.contains("RLIMIT_MEMLOCK is 8388608 bytes"),
            "{message}"
        );
    }

    #[test]
    fn an_old_kernel_is_missing_a_feature() {
        for (release, enough) in [
            ("5.14.0-427.el9", false),
            ("4.19.0", false),
            ("none", false),
            ("5.15", true),
            ("5.15.0-1-cloud", true),
            ("6.1.0", true),
            ("10.0", true),
        ] {
            let system = System {
                release: release.to_owned(),
                ..root()
            };
            assert_eq!(system.missing(true).is_empty(), enough, "{release}");
        }
    }

    #[test]
    fn missing_btf_is_not_required() {
        let system = System {
            btf: false,
            ..root()
        };
        assert!(!only(&system, true).0);
    }

    #[test]
    fn the_capability_line_is_found() {
        let status =
            "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n";
        assert_eq!(effective(status), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("CapEff:\tno\n"), None);
        assert!(System::read().is_ok());
    }
}
