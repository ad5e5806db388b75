//! Carries out a verdict and counts it in exactly one counter.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT};
use causeway_steering::{Bytes, DropReason, PuntReason, Tables, Verdict, reason::counter};

use crate::{
    log,
    maps::{Run, redirect_to_nic, redirect_to_worker},
    packet::Packet,
};

/// Returns the XDP action for `verdict`.
#[inline(always)]
pub fn act(run: &Run<'_>, verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Punt(reason) => {
            if reason as u32 == PuntReason::UnknownSpi as u32 {
                log::unknown_spi(run.ctx);
            }
            run.count(counter::punt(reason));
            XDP_PASS
        }
        Verdict::Drop(reason) => {
            if reason as u32 == DropReason::EspFragment as u32 {
                log::esp_fragment(run.ctx);
            }
            dropped(run, reason)
        }
        Verdict::Open { worker } => to_worker(run, worker),
        Verdict::Local { gateway, worker } => {
            let action = to_worker(run, worker);
            // Without a socket the packet was dropped and did not reach the gateway.
            if action == XDP_REDIRECT {
                run.count_gateway(gateway, Packet(run.ctx).length() as u64);
            }
            action
        }
        Verdict::Remote { gateway, mac } => to_gateway(run, gateway, mac),
    }
}

#[inline(always)]
fn dropped(run: &Run<'_>, reason: DropReason) -> u32 {
    run.count(counter::drop(reason));
    XDP_DROP
}

#[inline(always)]
fn to_worker(run: &Run<'_>, worker: u32) -> u32 {
    let queue = run.queue();
    if !redirect_to_worker(queue, worker) {
        log::no_socket(run.ctx, queue, worker);
        return dropped(run, DropReason::NoWorker);
    }
    run.count(counter::TO_WORKER);
    XDP_REDIRECT
}

#[inline(always)]
fn to_gateway(run: &Run<'_>, gateway: u32, mac: [u16; 3]) -> u32 {
    let at = run.ctx.data();
    if at + 12 > run.ctx.data_end() {
        return dropped(run, DropReason::EthernetTruncated);
    }
    let own = run.host.mac;
    // The source address is rewritten too. Otherwise a bridge learns the sender's address on this
    // port, and frames back to the sender are lost.
    let header = [mac[0], mac[1], mac[2], own[0], own[1], own[2]].map(u16::to_be);
    // SAFETY: the comparison above keeps the write inside the packet, which starts at an even
    // address.
    unsafe { *(at as *mut [u16; 6]) = header };
    if !redirect_to_nic() {
        return dropped(run, DropReason::NicRingFull);
    }
    run.count(counter::TO_GATEWAY);
    run.count_gateway(gateway, Packet(run.ctx).length() as u64);
    XDP_REDIRECT
}
