//! The errors of opening a NIC's queues, each with its remedy.

use std::{error::Error, io};

use rustix::io::Errno;

/// The error of [`AfXdp::open`](super::AfXdp::open).
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options are out of range.
    #[error("invalid AF_XDP options: expected {expected}")]
    Options {
        /// The expected value and the actual one.
        expected: String,
    },
    /// This network namespace has no NIC of that name.
    #[error(
        "this network namespace has no interface {interface}: see `ip link` for the existing ones"
    )]
    NoSuchInterface {
        /// The name of the NIC.
        interface: String,
    },
    /// The NIC's MTU exceeds the frame size.
    #[error(
        "the MTU of {interface} is {mtu}, but a frame of {frame_size} bytes fits at most {largest}: \
         lower the MTU with `ip link set {interface} mtu {largest}`{}",
        if *frame_size < 4096 { ", or use frames of 4096 bytes" } else { "" }
    )]
    MtuTooLarge {
        /// The name of the NIC.
        interface: String,
        /// The MTU of the NIC in bytes.
        mtu: u32,
        /// The frame size in bytes: the requested one, or the largest one.
        frame_size: u32,
        /// The largest MTU in bytes that fits a frame of this size.
        largest: u32,
    },
    /// The NIC does not have that many queues.
    #[error(
        "{interface} has no queue {queue}: see `ethtool -l {interface}` for the number of its queues, and \
         change it with `ethtool -L {interface} combined N`"
    )]
    NoSuchQueue {
        /// The name of the NIC.
        interface: String,
        /// The missing queue, counted from 0.
        queue: u32,
    },
    /// Another process has AF_XDP sockets on the queue.
    #[error(
        "queue {queue} of {interface} is in use by other AF_XDP sockets: stop the process that \
         holds them (another gateway on this NIC?)"
    )]
    QueueBusy {
        /// The name of the NIC.
        interface: String,
        /// The queue, counted from 0.
        queue: u32,
    },
    /// Zero-copy was required, and the driver does not support it.
    #[error(
        "the driver of {interface} does not support zero-copy on queue {queue}: use automatic \
         mode or copy mode"
    )]
    NoZeroCopy {
        /// The name of the NIC.
        interface: String,
        /// The queue, counted from 0.
        queue: u32,
    },
    /// The process is not allowed to lock enough memory for the UMEM.
    #[error(
        "cannot lock {mebibytes} MiB of memory for the frames of queue {queue} of {interface}: give the \
         process CAP_IPC_LOCK, raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK=) or use fewer frames"
    )]
    LockedMemory {
        /// The name of the NIC.
        interface: String,
        /// The queue, counted from 0.
        queue: u32,
        /// The memory that was to be locked, in MiB.
        mebibytes: u64,
    },
    /// The process lacks the capabilities for AF_XDP sockets.
    #[error(
        "no permission to open an AF_XDP socket on queue {queue} of {interface}: run as root, or with \
         CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF"
    )]
    Permission {
        /// The name of the NIC.
        interface: String,
        /// The queue, counted from 0.
        queue: u32,
    },
    /// The kernel has no AF_XDP support.
    #[error(
        "this kernel does not support AF_XDP sockets (for queue {queue} of {interface}): use Linux 5.11 or \
         newer with CONFIG_XDP_SOCKETS"
    )]
    NoKernelSupport {
        /// The name of the NIC.
        interface: String,
        /// The queue, counted from 0.
        queue: u32,
    },
    /// Any other error of the kernel.
    #[error("cannot {step} on queue {queue} of {interface}")]
    Kernel {
        /// The name of the NIC.
        interface: String,
        /// The queue, counted from 0.
        queue: u32,
        /// The operation that failed.
        step: &'static str,
        /// The error of the kernel.
        source: io::Error,
    },
}

/// The queue that is being opened, for error messages.
#[derive(Clone, Copy)]
pub(super) struct QueueContext<'a> {
    pub(super) interface: &'a str,
    pub(super) queue: u32,
    /// The size of the queue's UMEM in bytes.
    pub(super) memory: u64,
    /// Whether zero-copy is required.
    pub(super) zero_copy: bool,
}

impl QueueContext<'_> {
    /// Converts the error of `step` on this queue. xsk-rs keeps the kernel's error as the source of its own.
    pub(super) fn error(self, step: &'static str, error: &(dyn Error + 'static)) -> OpenError {
        let source = error
            .downcast_ref::<io::Error>()
            .or_else(|| error.source()?.downcast_ref());
        let errno = source.and_then(io::Error::raw_os_error);
        let interface = self.interface.to_owned();
        let queue = self.queue;
        match errno.map(Errno::from_raw_os_error) {
            Some(Errno::NODEV | Errno::NXIO) => OpenError::NoSuchInterface { interface },
            Some(Errno::PERM | Errno::ACCESS) => OpenError::Permission { interface, queue },
            Some(Errno::AFNOSUPPORT) => OpenError::NoKernelSupport { interface, queue },
            // xdp_umem_account_pages returns ENOBUFS above RLIMIT_MEMLOCK.
            Some(Errno::NOBUFS | Errno::NOMEM) => OpenError::LockedMemory {
                interface,
                queue,
                mebibytes: self.memory >> 20,
            },
            Some(Errno::BUSY) => OpenError::QueueBusy { interface, queue },
            Some(Errno::OPNOTSUPP) if self.zero_copy => OpenError::NoZeroCopy { interface, queue },
            // Sizes and flags were checked before, so only the queue can be invalid.
            Some(Errno::INVAL) if step == BIND => OpenError::NoSuchQueue { interface, queue },
            errno => OpenError::Kernel {
                interface,
                queue,
                step,
                source: errno.map_or_else(|| io::Error::other(error.to_string()), io::Error::from),
            },
        }
    }
}

/// The step in which the kernel checks the queue.
pub(super) const BIND: &str = "bind an AF_XDP socket";
