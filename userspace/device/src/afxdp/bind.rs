//! Helpers for binding a socket and for reading and setting options of a bound socket.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use rustix::net::{sockopt, xdp::XdpOptionsFlags};
use xsk_rs::RxQueue;

use super::{error::OpenError, options::CopyMode};

/// The socket option `XDP_MAX_TX_SKB_BUDGET` of Linux 6.17: the most packets that one call sends in copy mode.
const TRANSMIT_BUDGET: libc::c_int = 9;
/// The transmit budget to set. It covers the backlog of a delayed worker and still limits the duration of a call. Older
/// kernels always send up to 32 packets per call.
const BUDGET: u32 = 256;
/// The time within which the kernel must detach a closed socket from its queue.
const RELEASE_TIME: Duration = Duration::from_secs(1);

/// Retries `bind` while the queue is busy. The kernel detaches a closed socket from its queue in the background
/// (`xp_release_deferred`). A gateway that restarts at once would otherwise find its own old socket on the queue.
pub(super) fn retry_while_busy<T>(bind: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let deadline = Instant::now() + RELEASE_TIME;
    loop {
        let result = bind();
        let busy = matches!(result, Err(OpenError::QueueBusy { .. }));
        if !busy || Instant::now() >= deadline {
            return result;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The copy mode that the kernel chose for a bound socket.
pub(super) fn copy_mode(socket: &RxQueue) -> io::Result<CopyMode> {
    // SAFETY: the queue keeps its socket open.
    let socket = unsafe { BorrowedFd::borrow_raw(socket.fd().as_raw_fd()) };
    match sockopt::xdp_options(socket)?.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY) {
        true => Ok(CopyMode::ZeroCopy),
        false => Ok(CopyMode::Copy),
    }
}

/// Lets one call send up to [`BUDGET`] packets, limited by the number of entries of the transmit ring.
pub(super) fn raise_transmit_budget(socket: BorrowedFd<'_>, transmit_ring: u32) {
    let budget = BUDGET.min(transmit_ring);
    // The result is ignored: on an older kernel that refuses the option, transmission only takes more calls.
    // SAFETY: the kernel reads the four bytes of `budget`, which outlives the call.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            TRANSMIT_BUDGET,
            (&raw const budget).cast(),
            size_of_val(&budget) as libc::socklen_t,
        );
    }
}
