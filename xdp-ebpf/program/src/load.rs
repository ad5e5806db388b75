//! What `cargo xtask perf gateway` has in the kernel around the gateway that it measures: what offers
//! the packets and what sinks them, the program of the plain forwarder beside it, and a count of
//! system calls. No part of Causeway's own data path.
#![no_std]
#![no_main]

use aya_ebpf::{
    EbpfContext,
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    helpers::{
        bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_xdp_adjust_tail, bpf_xdp_store_bytes,
    },
    macros::{map, raw_tracepoint, xdp},
    maps::{
        Array, PerCpuArray,
        xdp::{DevMap, XskMap},
    },
    programs::{RawTracePointContext, XdpContext},
};

/// Where the EtherType stands, and IPv4's.
const ETHERTYPE: usize = 12;
const IPV4: u16 = 0x0800_u16.to_be();
/// Octets of a packet in the map, behind the eight in which its length stands first.
const ROOM: usize = 1528;
/// Every so many packets the sink looks at the clock.
const TIMED: u64 = 64;
/// How often the pace looks at the clock, at some 20 ns each, before it gives a packet up.
const PATIENCE: u32 = 4096;

/// A packet to send: its length, from the Ethernet header on, and its octets.
#[repr(C)]
pub struct Packet {
    length: u64,
    octets: [u8; ROOM],
}

/// What the flood goes by.
#[repr(C)]
pub struct Flood {
    /// Packets in the map, which are sent in turn.
    packets: u64,
    /// Packets a second.
    rate: u64,
    /// When the first and the last went, by the kernel's clock; 0 before.
    first: u64,
    last: u64,
    sent: u64,
}

/// What reached the sink.
#[repr(C)]
pub struct Sunk {
    packets: u64,
    /// From the Ethernet header on.
    octets: u64,
    /// When the first came and when a later one did, by the kernel's clock, and which one that was.
    first: u64,
    last: u64,
    timed: u64,
}

#[map]
static PACKETS: Array<Packet> = Array::with_max_entries(1, 0);
#[map]
static FLOOD: Array<Flood> = Array::with_max_entries(1, 0);
/// Where the flood goes.
#[map]
static NIC: DevMap = DevMap::with_max_entries(1, 0);
#[map]
static SUNK: PerCpuArray<Sunk> = PerCpuArray::with_max_entries(1, 0);
/// The forwarder's socket.
#[map]
static SOCKETS: XskMap = XskMap::with_max_entries(1, 0);
/// The process whose system calls are counted.
#[map]
static PROCESS: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static CALLS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Makes the frame of [`ROOM`] octets that BPF_PROG_TEST_RUN gives it the next packet, and sends it once
/// it is due. Runs on one CPU at a time.
#[xdp]
pub fn flood(ctx: XdpContext) -> u32 {
    next(&ctx).unwrap_or(XDP_DROP)
}

#[inline(always)]
fn next(ctx: &XdpContext) -> Option<u32> {
    // SAFETY: the element is there for as long as the program, and nobody else runs it.
    let flood = unsafe { &mut *FLOOD.get_ptr_mut(0)? };
    if flood.first == 0 {
        flood.first = now();
    }
    let due = flood.first + flood.sent * 1_000_000_000 / flood.rate.max(1);
    let mut patience = PATIENCE;
    loop {
        flood.last = now();
        if flood.last >= due {
            break;
        }
        patience -= 1;
        if patience == 0 {
            return None;
        }
    }
    let packet = PACKETS.get((flood.sent % flood.packets.max(1)) as u32)?;
    flood.sent += 1;
    let length = packet.length as usize;
    if length == 0 || length > ROOM {
        return None;
    }
    let raw = ctx.as_ptr().cast();
    // SAFETY: the context is the kernel's, and the map's element holds at least `length` octets.
    let stored = unsafe {
        bpf_xdp_adjust_tail(raw, length as i32 - ROOM as i32) == 0
            && bpf_xdp_store_bytes(
                raw,
                0,
                packet.octets.as_ptr().cast_mut().cast(),
                length as u32,
            ) == 0
    };
    match stored {
        true => NIC.redirect(0, 0).ok(),
        false => None,
    }
}

/// Counts and drops IPv4. The rest is for the kernel, which answers for the addresses of the load.
#[xdp]
pub fn sink(ctx: XdpContext) -> u32 {
    let at = ctx.data() + ETHERTYPE;
    if at + 2 > ctx.data_end() {
        return XDP_PASS;
    }
    // SAFETY: the comparison above keeps the read inside the packet, which starts at an even address.
    if unsafe { *(at as *const u16) } != IPV4 {
        return XDP_PASS;
    }
    if let Some(sunk) = SUNK.get_ptr_mut(0) {
        // SAFETY: the element is this CPU's own, and the program is not preempted by itself.
        let sunk = unsafe { &mut *sunk };
        if sunk.packets == 0 {
            sunk.first = now();
        } else if sunk.packets % TIMED == 0 {
            sunk.last = now();
            sunk.timed = sunk.packets;
        }
        sunk.packets += 1;
        sunk.octets += (ctx.data_end() - ctx.data()) as u64;
    }
    XDP_DROP
}

/// Gives everything to the one socket, as the program does that libxdp brings along.
#[xdp]
pub fn to_socket(_: XdpContext) -> u32 {
    SOCKETS.redirect(0, 0).unwrap_or(XDP_PASS)
}

/// The kernel's clock, in nanoseconds.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: a helper without conditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Counts the system calls of one process.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn system_call(_: RawTracePointContext) -> i32 {
    let process = (bpf_get_current_pid_tgid() >> 32) as u32;
    if PROCESS.get(0) == Some(&process)
        && let Some(calls) = CALLS.get_ptr_mut(0)
    {
        // SAFETY: as above.
        unsafe { *calls += 1 };
    }
    0
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
