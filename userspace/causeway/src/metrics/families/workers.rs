//! Metrics of workers.

use super::{BYTES, PACKETS, SECONDS, counter, gauge};
use crate::metrics::Family;
use crate::metrics::Source::{Worker, WorkerCount};
use crate::metrics::samples::{by_reason, drops, latency, least_of_sas, path_mtu, worker_info};
use crate::status::KERNEL_DROPS;

/// The labels of a worker's metric.
pub const WORKER: &[&str] = &["gateway", "worker"];
/// Those of a worker's share of a peering.
const TUNNEL: &[&str] = &["gateway", "worker", "peer"];

/// In the order of a packet's way.
pub const FAMILIES: &[Family] = &[
    gauge(
        "worker_info",
        None,
        &["gateway", "worker", "core", "copy_mode"],
        "Always 1. The core that the worker is pinned to (empty: none), and how packets cross its socket.",
        Worker(worker_info),
    ),
    counter(
        "worker_received",
        PACKETS,
        WORKER,
        "Packets that the worker took from its sockets.",
        WorkerCount(|worker| worker.received),
    ),
    counter(
        "worker_sent",
        PACKETS,
        WORKER,
        "Received packets that the worker transmitted, or gave to this host's demux.",
        WorkerCount(|worker| worker.sent),
    ),
    counter(
        "worker_originated",
        PACKETS,
        WORKER,
        "Packets that the worker sent beyond those: ICMP errors, dummies, markers, and the fragments of a packet but the last.",
        WorkerCount(|worker| worker.originated),
    ),
    gauge(
        "worker_waiting",
        PACKETS,
        WORKER,
        "Packets that wait for a next hop's MAC address, or for the release of a hold.",
        WorkerCount(|worker| worker.waiting),
    ),
    gauge(
        "worker_holds",
        None,
        WORKER,
        "Holds: each keeps the packets of some buckets that move to the gateway.",
        WorkerCount(|worker| worker.holds.now),
    ),
    gauge(
        "worker_holding",
        PACKETS,
        WORKER,
        "Packets of those that wait which a hold keeps.",
        WorkerCount(|worker| worker.holds.waiting),
    ),
    counter(
        "worker_held",
        PACKETS,
        WORKER,
        "Packets that a hold has kept.",
        WorkerCount(|worker| worker.holds.packets),
    ),
    counter(
        "worker_holds_expired",
        None,
        WORKER,
        "Holds that came to their time limit.",
        WorkerCount(|worker| worker.holds.expired),
    ),
    counter(
        "worker_words",
        PACKETS,
        WORKER,
        "Packets of those sent that were words of a peer's demux to this host's.",
        WorkerCount(|worker| worker.words),
    ),
    counter(
        "worker_standstills",
        None,
        WORKER,
        "Times that the worker had not run for so long that it dropped what it had.",
        WorkerCount(|worker| worker.standstills),
    ),
    counter(
        "worker_dropped",
        PACKETS,
        &["gateway", "worker", "reason"],
        "Packets that the worker dropped, by drop reason.",
        Worker(|worker| drops(&worker.drops)),
    ),
    counter(
        "worker_kernel_dropped",
        PACKETS,
        &["gateway", "worker", "reason"],
        "Packets for the worker that the kernel dropped at its sockets, by kernel drop reason.",
        Worker(|worker| {
            let names = KERNEL_DROPS.iter().map(|&(name, _)| name);
            by_reason(names, &worker.kernel_drops)
        }),
    ),
    counter(
        "worker_sealed",
        PACKETS,
        WORKER,
        "Packets that the worker encrypted.",
        WorkerCount(|worker| worker.sealed.packets),
    ),
    counter(
        "worker_sealed",
        BYTES,
        WORKER,
        "Inner IP bytes that the worker encrypted.",
        WorkerCount(|worker| worker.sealed.bytes),
    ),
    counter(
        "worker_opened",
        PACKETS,
        WORKER,
        "Authentic packets that the worker decrypted.",
        WorkerCount(|worker| worker.opened.packets),
    ),
    counter(
        "worker_opened",
        BYTES,
        WORKER,
        "Inner IP bytes that the worker decrypted.",
        WorkerCount(|worker| worker.opened.bytes),
    ),
    counter(
        "worker_latency_measured",
        PACKETS,
        WORKER,
        "Packets whose time from receive to transmit was measured.",
        WorkerCount(|worker| worker.latency_ns.count),
    ),
    gauge(
        "worker_latency",
        SECONDS,
        &["gateway", "worker", "quantile"],
        "Time from receive to transmit since the start: quantiles 0.5, 0.99, 0.999, and 1 for the longest.",
        Worker(latency),
    ),
    gauge(
        "worker_sequence_numbers_remaining",
        None,
        TUNNEL,
        "Sequence numbers that the worker's outbound SA to the peer has left before it needs a new key.",
        Worker(|worker| least_of_sas(worker, |sa| sa.sequence_numbers_remaining)),
    ),
    counter(
        "worker_sas_installed",
        None,
        WORKER,
        "Inbound SAs that were added while the worker ran.",
        WorkerCount(|worker| worker.sa_changes.installed),
    ),
    counter(
        "worker_sas_switched",
        None,
        WORKER,
        "Times that an outbound SA took over from another: rekeys of what the worker sends.",
        WorkerCount(|worker| worker.sa_changes.switched),
    ),
    counter(
        "worker_sas_retired",
        None,
        WORKER,
        "Inbound SAs that went while the worker ran.",
        WorkerCount(|worker| worker.sa_changes.retired),
    ),
    counter(
        "worker_sas_due",
        None,
        WORKER,
        "SAs that reached a soft limit of their lifetime: each asks for a new key.",
        WorkerCount(|worker| worker.sa_changes.due),
    ),
    counter(
        "worker_sas_expired",
        None,
        WORKER,
        "SAs that reached a hard limit of their lifetime and carry no more.",
        WorkerCount(|worker| worker.sa_changes.expired),
    ),
    gauge(
        "worker_sa_expiry_timestamp",
        SECONDS,
        TUNNEL,
        "When a hard limit in time ends the first of the worker's SAs with the peer, in Unix time; absent: never.",
        Worker(|worker| least_of_sas(worker, |sa| sa.expires)),
    ),
    gauge(
        "worker_path_mtu",
        BYTES,
        TUNNEL,
        "The largest outer packet that the path to the peering's gateway takes: the NIC's MTU unless somebody on the path said less.",
        Worker(path_mtu),
    ),
    gauge(
        "worker_frames",
        None,
        WORKER,
        "Frames of the worker's UMEM.",
        WorkerCount(|worker| worker.frames.total),
    ),
    gauge(
        "worker_frames_home",
        None,
        WORKER,
        "Frames of the worker's UMEM that no packet is in.",
        WorkerCount(|worker| worker.frames.home),
    ),
];
