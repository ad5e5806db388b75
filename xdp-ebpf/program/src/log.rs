//! Rare events, at most one of a kind per second and CPU.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::map, maps::PerCpuArray, programs::XdpContext};
use aya_log_ebpf::{info, warn};

const INTERVAL_NS: u64 = 1_000_000_000;

#[map]
static LAST_LOG: PerCpuArray<u64> = PerCpuArray::with_max_entries(2, 0);

/// An ESP packet for the host whose SPI no worker has.
#[inline(always)]
pub fn unknown_spi(ctx: &XdpContext) {
    if due(0) {
        info!(ctx, "ESP with an unknown SPI, given to the kernel");
    }
}

/// A packet for a worker that has no socket on the packet's queue.
#[inline(always)]
pub fn no_socket(ctx: &XdpContext, queue: u32, worker: u32) {
    if due(1) {
        warn!(
            ctx,
            "worker {} has no socket on queue {}: dropped", worker, queue
        );
    }
}

#[inline(always)]
fn due(kind: u32) -> bool {
    let Some(last) = LAST_LOG.get_ptr_mut(kind) else {
        return false;
    };
    // SAFETY: a helper without preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the element is this CPU's own.
    unsafe {
        if now - *last < INTERVAL_NS {
            return false;
        }
        *last = now;
    }
    true
}
