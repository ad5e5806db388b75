//! Why a NIC's queues could not be opened, each with what to do about it.

use std::{error::Error, io};

use rustix::io::Errno;

/// Why [`AfXdp::open`](super::AfXdp::open) failed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The options contradict themselves.
    #[error("AF_XDP options: expected {what}")]
    Options {
        /// What was expected, and what came.
        what: String,
    },
    /// No NIC of that name is in this network namespace.
    #[error("there is no network interface {interface} here: `ip link` lists those there are")]
    NoSuchInterface {
        /// The NIC.
        interface: String,
    },
    /// The NIC's packets can be longer than a frame.
    #[error(
        "the MTU of {interface} is {mtu}, but a frame of {frame_size} bytes carries at most \
         {largest}: lower it with `ip link set {interface} mtu {largest}`{}",
        if *frame_size < 4096 { ", or choose frames of 4096 bytes" } else { "" }
    )]
    MtuTooLarge {
        /// The NIC.
        interface: String,
        /// Its MTU in bytes.
        mtu: u32,
        /// The frame size in bytes that was asked for or is the largest.
        frame_size: u32,
        /// The largest MTU for frames of this size, in bytes.
        largest: u32,
    },
    /// The NIC has fewer queues.
    #[error(
        "{interface} has no queue {queue}: `ethtool -l {interface}` tells how many it has, and \
         `ethtool -L {interface} combined N` changes that"
    )]
    NoSuchQueue {
        /// The NIC.
        interface: String,
        /// The queue that is missing, counted from 0.
        queue: u32,
    },
    /// Another UMEM is bound to the queue.
    #[error(
        "queue {queue} of {interface} belongs to other AF_XDP sockets: end the process that \
         holds them (another gateway on this NIC?)"
    )]
    QueueBusy {
        /// The NIC.
        interface: String,
        /// The queue.
        queue: u32,
    },
    /// Zero-copy was required and the driver has none.
    #[error(
        "the driver of {interface} has no zero-copy on queue {queue}: leave the choice to the \
         kernel, or ask for copy mode"
    )]
    NoZeroCopy {
        /// The NIC.
        interface: String,
        /// The queue.
        queue: u32,
    },
    /// The process may not lock the UMEM's memory.
    #[error(
        "the {mebibytes} MiB of frames for queue {queue} of {interface} cannot be locked: give the \
         process CAP_IPC_LOCK, raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK=) or use fewer frames"
    )]
    LockedMemory {
        /// The NIC.
        interface: String,
        /// The queue.
        queue: u32,
        /// The memory's size.
        mebibytes: u64,
    },
    /// The process may not open AF_XDP sockets.
    #[error(
        "no permission for an AF_XDP socket on queue {queue} of {interface}: run as root, or with \
         CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF"
    )]
    Permission {
        /// The NIC.
        interface: String,
        /// The queue.
        queue: u32,
    },
    /// The kernel knows no AF_XDP.
    #[error(
        "this kernel has no AF_XDP sockets (for queue {queue} of {interface}): it needs \
         CONFIG_XDP_SOCKETS and Linux 5.11 or newer"
    )]
    NoKernelSupport {
        /// The NIC.
        interface: String,
        /// The queue.
        queue: u32,
    },
    /// Anything else that the kernel refused.
    #[error("cannot {step} on queue {queue} of {interface}")]
    Kernel {
        /// The NIC.
        interface: String,
        /// The queue.
        queue: u32,
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The queue that is being opened, for the sentence that says what went wrong there.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) interface: &'a str,
    pub(super) queue: u32,
    /// Bytes of the queue's UMEM.
    pub(super) memory: u64,
    /// Whether zero-copy is required.
    pub(super) zero_copy: bool,
}

impl Place<'_> {
    /// What the kernel's answer to `step` means here. xsk-rs keeps that answer as the source of
    /// its own error.
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
            // xdp_umem_account_pages answers ENOBUFS above RLIMIT_MEMLOCK.
            Some(Errno::NOBUFS | Errno::NOMEM) => OpenError::LockedMemory {
                interface,
                queue,
                mebibytes: self.memory >> 20,
            },
            Some(Errno::BUSY) => OpenError::QueueBusy { interface, queue },
            Some(Errno::OPNOTSUPP) if self.zero_copy => OpenError::NoZeroCopy { interface, queue },
            // Sizes and flags were checked before, so what bind(2) finds invalid is the queue.
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

/// The step in which the kernel looks at the queue.
pub(super) const BIND: &str = "bind an AF_XDP socket";
