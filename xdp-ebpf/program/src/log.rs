//! Logs rare events, at most one of each kind per second and CPU.

use core::net::IpAddr;

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::map, maps::PerCpuArray, programs::XdpContext};
use aya_log_ebpf::{info, warn};
use causeway_steering::{Bytes, Headers, Inbound, bytes::wide, headers::Ethernet};

use crate::packet::Packet;

const INTERVAL_NS: u64 = 1_000_000_000;

#[map]
static LAST_LOG: PerCpuArray<u64> = PerCpuArray::with_max_entries(3, 0);

/// Logs an ESP packet for this host with an SPI that no worker has, RFC 4303 section 3.4.2.
#[inline(always)]
pub fn unknown_spi(ctx: &XdpContext) {
    if due(0)
        && let Some(esp) = Esp::of(ctx)
    {
        info!(
            ctx,
            "ESP with an unknown SPI, given to the kernel: spi=0x{:x} sequence={} source={:i} destination={:i} flow-label=0x{:x}",
            esp.spi,
            esp.sequence,
            esp.source,
            esp.destination,
            esp.flow_label
        );
    }
}

/// Logs a fragment of an ESP packet for this host, RFC 4303 section 3.4.1.
#[inline(always)]
pub fn esp_fragment(ctx: &XdpContext) {
    if due(2)
        && let Some(esp) = Esp::of(ctx)
    {
        warn!(
            ctx,
            "auditable event: a fragment of ESP, dropped: spi=0x{:x} sequence={} source={:i} destination={:i} flow-label=0x{:x}",
            esp.spi,
            esp.sequence,
            esp.source,
            esp.destination,
            esp.flow_label
        );
    }
}

/// The fields of an ESP packet that RFC 4303 requires in the log.
struct Esp {
    source: IpAddr,
    destination: IpAddr,
    /// 0 for a later fragment, which contains neither SPI nor sequence number.
    spi: u32,
    sequence: u32,
    /// 0 for IPv4.
    flow_label: u32,
}

impl Esp {
    #[inline(always)]
    fn of(ctx: &XdpContext) -> Option<Self> {
        let packet = &Packet(ctx);
        let headers = Headers::parse(packet, Ethernet::parse(packet)?.l3).ok()?;
        let at = match Inbound::of(packet, &headers) {
            Inbound::Esp { at, .. } => Some(at),
            _ if headers.first_fragment(packet) => Some(headers.l4),
            _ => None,
        };
        let [spi, sequence] = match at.and_then(|at| packet.words(at)) {
            Some([a, b, c, d]) => [wide(a, b), wide(c, d)],
            None => [0; 2],
        };
        let [first, second] = packet.words(headers.l3)?;
        Some(Self {
            source: headers.source.into(),
            destination: headers.destination.into(),
            spi,
            sequence,
            flow_label: match headers.is_ipv4() {
                true => 0,
                false => wide(first, second) & 0xf_ffff,
            },
        })
    }
}

/// Logs a packet for a worker that has no socket on the packet's queue.
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
