//! The XDP program: parses a packet, gets the verdict and carries it out.
//!
//! The verdict is in `causeway-steering`, which host and kernel share. The tables are in [`maps`],
//! which the host fills. The program is attached to the NICs of demuxes and of gateways.
#![no_std]
#![no_main]
// For BPF's compare-and-exchange, which stable Rust does not offer.
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

/// Returns at once. Only the benchmarks load it, to measure the overhead of a test run itself.
#[xdp]
pub fn idle(_: XdpContext) -> u32 {
    XDP_PASS
}

// Dual, because the kernel permits some helpers in GPL programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: the verifier refuses a program with a reachable panic.
    unsafe { core::hint::unreachable_unchecked() }
}
