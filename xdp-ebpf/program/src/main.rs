//! The XDP program: parse -> verdict -> act, and nothing else.
//!
//! What it decides stands in `causeway-steering`, which host and kernel share; what it knows
//! stands in [`maps`], which the host fills. It is attached to the NIC of a demux and of a
//! gateway alike.
#![no_std]
#![no_main]
// The compare-and-exchange of BPF, which has no stable form.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

mod act;
mod log;
mod maps;
mod packet;

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_PASS},
    macros::xdp,
    programs::XdpContext,
};
use causeway_steering::{decide, reason::counter};

#[xdp]
pub fn causeway(ctx: XdpContext) -> u32 {
    let Some(run) = maps::Run::new(&ctx) else {
        return XDP_ABORTED;
    };
    run.count(counter::RECEIVED);
    act::act(&run, decide(&packet::Packet(&ctx), &run))
}

/// Only returns: what a measurement of the other one has in it besides. Loaded by nobody else.
#[xdp]
pub fn idle(_: XdpContext) -> u32 {
    XDP_PASS
}

// Dual, because the kernel lends some helpers to GPL programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: the verifier refuses a program in which a panic can be reached.
    unsafe { core::hint::unreachable_unchecked() }
}
