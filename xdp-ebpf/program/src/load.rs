//! The kernel side of `cargo xtask perf gateway`: the packet generator, the packet sink, the program of
//! the plain forwarder, and a counter of system calls. The data path does not use this file.
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

/// The offset of the EtherType in a frame.
const ETHERTYPE: usize = 12;
const IPV4: u16 = 0x0800_u16.to_be();
/// Octets of a packet in the map, behind the eight octets of its length.
const ROOM: usize = 1528;
/// The sink reads the clock once per this many packets.
const TIMED: u64 = 64;
/// The most clock reads, at about 20 ns each, while the generator waits for a packet's send time.
const MAX_CLOCK_READS: u32 = 4096;

/// A packet to send. The length includes the Ethernet header.
#[repr(C)]
pub struct Packet {
    length: u64,
    octets: [u8; ROOM],
}

/// The generator's parameters and its progress.
#[repr(C)]
pub struct Flood {
    /// Packets in the map, which are sent in turn.
    packets: u64,
    /// Packets per second.
    rate: u64,
    /// When the first and the last packet were sent, by the kernel's clock; 0 before the first.
    first: u64,
    last: u64,
    sent: u64,
}

/// The packets that reached the sink.
#[repr(C)]
pub struct Sunk {
    packets: u64,
    /// Ethernet headers included.
    octets: u64,
    /// When packet 0 and packet `timed` arrived, by the kernel's clock.
    first: u64,
    last: u64,
    timed: u64,
}

#[map]
static PACKETS: Array<Packet> = Array::with_max_entries(1, 0);
#[map]
static FLOOD: Array<Flood> = Array::with_max_entries(1, 0);
/// The NIC through which the generator sends.
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

/// The generator. BPF_PROG_TEST_RUN supplies a frame of [`ROOM`] octets; the generator overwrites it
/// with the next packet and sends it once it is due. It runs on one CPU at a time.
#[xdp]
pub fn flood(ctx: XdpContext) -> u32 {
    next(&ctx).unwrap_or(XDP_DROP)
}

#[inline(always)]
fn next(ctx: &XdpContext) -> Option<u32> {
    // SAFETY: the element lives as long as the program, and the program runs on one CPU at a time.
    let flood = unsafe { &mut *FLOOD.get_ptr_mut(0)? };
    if flood.first == 0 {
        flood.first = now();
    }
    let due = flood.first + flood.sent * 1_000_000_000 / flood.rate.max(1);
    let mut reads_left = MAX_CLOCK_READS;
    loop {
        flood.last = now();
        if flood.last >= due {
            break;
        }
        reads_left -= 1;
        if reads_left == 0 {
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
    // SAFETY: the kernel supplies the context, and the map's element holds at least `length` octets.
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

/// Counts and drops IPv4. Other frames go to the kernel, which answers ARP for the generated addresses.
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
        // SAFETY: the element is this CPU's own, and the program does not preempt itself.
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

/// Redirects every packet to the forwarder's socket, as libxdp's default program does.
#[xdp]
pub fn to_socket(_: XdpContext) -> u32 {
    SOCKETS.redirect(0, 0).unwrap_or(XDP_PASS)
}

/// The kernel's clock, in nanoseconds.
#[inline(always)]
fn now() -> u64 {
    // SAFETY: a helper without preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Counts the system calls of one process.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn system_call(_: RawTracePointContext) -> i32 {
    let process = (bpf_get_current_pid_tgid() >> 32) as u32;
    if PROCESS.get(0) == Some(&process)
        && let Some(calls) = CALLS.get_ptr_mut(0)
    {
        // SAFETY: the element is this CPU's own, and the program does not preempt itself.
        unsafe { *calls += 1 };
    }
    0
}

// Dual, because the kernel permits some helpers in GPL programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: the verifier refuses a program in which a panic can be reached.
    unsafe { core::hint::unreachable_unchecked() }
}
