//! Carries a verdict out, and counts the one name under which the packet ends here.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT},
    programs::XdpContext,
};
use causeway_steering::{Bytes, Drop, Punt, Tables, Verdict, reason::counter};

use crate::{log, maps, packet::Packet};

/// Returns the XDP action for `verdict`.
#[inline(always)]
pub fn act(ctx: &XdpContext, verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Punt(reason) => {
            if reason as u32 == Punt::UnknownSpi as u32 {
                log::unknown_spi(ctx);
            }
            maps::count(counter::punt(reason));
            XDP_PASS
        }
        Verdict::Drop(reason) => {
            if reason as u32 == Drop::EspFragment as u32 {
                log::esp_fragment(ctx);
            }
            dropped(reason)
        }
        Verdict::Open { worker } => to_worker(ctx, worker),
        Verdict::Local { gateway, worker } => {
            let action = to_worker(ctx, worker);
            // What has no socket ended as a drop and never came to the gateway.
            if action == XDP_REDIRECT {
                maps::count_gateway(gateway, Packet(ctx).length() as u64);
            }
            action
        }
        Verdict::Remote { gateway, mac } => to_gateway(ctx, gateway, mac),
    }
}

#[inline(always)]
fn dropped(reason: Drop) -> u32 {
    maps::count(counter::drop(reason));
    XDP_DROP
}

#[inline(always)]
fn to_worker(ctx: &XdpContext, worker: u32) -> u32 {
    let queue = maps::Maps { ctx }.queue();
    if !maps::redirect_to_worker(queue, worker) {
        log::no_socket(ctx, queue, worker);
        return dropped(Drop::NoWorker);
    }
    maps::count(counter::TO_WORKER);
    XDP_REDIRECT
}

#[inline(always)]
fn to_gateway(ctx: &XdpContext, gateway: u32, mac: [u16; 3]) -> u32 {
    let at = ctx.data();
    if at + 12 > ctx.data_end() {
        return dropped(Drop::EthernetTruncated);
    }
    let Some(own) = (maps::Maps { ctx }).host() else {
        return dropped(Drop::NoGateway);
    };
    // The source too, or a bridge learns the sender's address on this port and the way back
    // breaks.
    let header = [mac[0], mac[1], mac[2], own.mac[0], own.mac[1], own.mac[2]].map(u16::to_be);
    // SAFETY: the comparison above keeps the write inside the packet, which starts at an even
    // address.
    unsafe { *(at as *mut [u16; 6]) = header };
    if !maps::redirect_to_nic() {
        return dropped(Drop::NicRingFull);
    }
    maps::count(counter::TO_GATEWAY);
    maps::count_gateway(gateway, Packet(ctx).length() as u64);
    XDP_REDIRECT
}
