//! What binding a socket takes, and what a bound one is asked.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use rustix::net::{sockopt, xdp::XdpOptionsFlags};
use xsk_rs::RxQueue;

use super::{CopyMode, OpenError};

/// `XDP_MAX_TX_SKB_BUDGET` of Linux 6.17: how many packets one call sends in copy mode.
const TRANSMIT_BUDGET: libc::c_int = 9;
/// As many as a worker's bursts leave behind when it is late, and few enough that a call ends soon. Older
/// kernels send 32 a call.
const BUDGET: u32 = 256;
/// How long the kernel may take to take a closed socket off its queue.
const RELEASE_TIME: Duration = Duration::from_secs(1);

/// Tries again while the queue is busy. The kernel takes a closed socket off its queue in the
/// background (`xp_release_deferred`), so a gateway that starts again at once, or after a kill,
/// would find the queue taken by itself.
pub(super) fn patiently<T>(bind: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
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

/// The mode that the kernel chose for a bound socket.
pub(super) fn copy_mode(socket: &RxQueue) -> io::Result<CopyMode> {
    // SAFETY: the queue keeps its socket open.
    let socket = unsafe { BorrowedFd::borrow_raw(socket.fd().as_raw_fd()) };
    match sockopt::xdp_options(socket)?.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY) {
        true => Ok(CopyMode::ZeroCopy),
        false => Ok(CopyMode::Copy),
    }
}

/// Lets one call send up to [`BUDGET`] packets of a transmit ring with so many entries.
pub(super) fn send_more_at_once(socket: BorrowedFd<'_>, transmit_ring: u32) {
    let budget = BUDGET.min(transmit_ring);
    // SAFETY: the kernel reads the four octets of `budget`, which outlives the call. That older kernels
    // refuse the option costs calls, no packet, so the answer is of no interest.
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
