//! Metrics of workers.

use crate::metrics::family::Family;
use crate::metrics::family::Source::{Worker, WorkerCount};
use crate::metrics::family::{BYTES, PACKETS, SECONDS, WORKER, counter, gauge};
use crate::metrics::samples::{by_reason, drops, latency, least_of_sas, path_mtu, worker_info};
use causeway_api::status::KERNEL_DROPS;

/// The labels of a metric of a worker's tunnel.
const TUNNEL: &[&str] = &["gateway", "worker", "peer"];

/// In the order in which a packet changes them.
pub const FAMILIES: &[Family] = &[
    gauge(
        "worker_info",
        None,
        &["gateway", "worker", "core", "copy_mode"],
        "Always 1. The core to which the worker is pinned (empty if it is not pinned), and the copy mode of its sockets.",
        Worker(worker_info),
    ),
    counter(
        "worker_received",
        PACKETS,
        WORKER,
        "Packets that the worker received from its sockets.",
        WorkerCount(|worker| worker.received),
    ),
    counter(
        "worker_sent",
        PACKETS,
        WORKER,
        "Received packets that the worker transmitted or delivered to the demux on this host.",
        WorkerCount(|worker| worker.sent),
    ),
    counter(
        "worker_originated",
        PACKETS,
        WORKER,
        "Packets that the worker sent in addition: ICMP errors, dummy packets, markers, and all fragments of a packet except the last.",
        WorkerCount(|worker| worker.originated),
    ),
    gauge(
        "worker_waiting",
        PACKETS,
        WORKER,
        "Packets that wait for the MAC address of a next hop or for the release of a hold.",
        WorkerCount(|worker| worker.waiting),
    ),
    gauge(
        "worker_holds",
        None,
        WORKER,
        "Active holds. Each one queues the packets of buckets that move to the gateway.",
        WorkerCount(|worker| worker.holds.now),
    ),
    gauge(
        "worker_holding",
        PACKETS,
        WORKER,
        "Packets that wait for the release of a hold.",
        WorkerCount(|worker| worker.holds.waiting),
    ),
    counter(
        "worker_held",
        PACKETS,
        WORKER,
        "Packets that holds have queued.",
        WorkerCount(|worker| worker.holds.packets),
    ),
    counter(
        "worker_holds_expired",
        None,
        WORKER,
        "Holds that reached their time limit.",
        WorkerCount(|worker| worker.holds.expired),
    ),
    counter(
        "worker_control",
        PACKETS,
        WORKER,
        "Control messages that the worker delivered to the demux on this host. Included in the sent packets.",
        WorkerCount(|worker| worker.control_packets),
    ),
    counter(
        "worker_control_sealed",
        PACKETS,
        WORKER,
        "Control messages that the worker sealed for the demux. Included in the sealed packets.",
        WorkerCount(|worker| worker.control_sealed),
    ),
    counter(
        "worker_stalls",
        None,
        WORKER,
        "Times that the worker stalled for so long that it dropped its packets.",
        WorkerCount(|worker| worker.worker_stalls),
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
        "Packets that the kernel dropped at the worker's sockets, by kernel drop reason.",
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
        "Packets whose latency was measured.",
        WorkerCount(|worker| worker.latency_ns.count),
    ),
    gauge(
        "worker_latency",
        SECONDS,
        &["gateway", "worker", "quantile"],
        "Latency from receive to transmit since the start of the process: quantiles 0.5, 0.99, 0.999, and 1 (the maximum).",
        Worker(latency),
    ),
    gauge(
        "worker_sequence_numbers_remaining",
        None,
        TUNNEL,
        "Sequence numbers that remain before the worker's outbound SA to the peer must be replaced.",
        Worker(|worker| least_of_sas(worker, |sa| sa.sequence_numbers_remaining)),
    ),
    counter(
        "worker_sas_installed",
        None,
        WORKER,
        "Inbound SAs that were installed since the start of the worker.",
        WorkerCount(|worker| worker.sa_changes.installed),
    ),
    counter(
        "worker_sas_switched",
        None,
        WORKER,
        "Times that an outbound SA was replaced.",
        WorkerCount(|worker| worker.sa_changes.switched),
    ),
    counter(
        "worker_sas_retired",
        None,
        WORKER,
        "Inbound SAs that were retired since the start of the worker.",
        WorkerCount(|worker| worker.sa_changes.retired),
    ),
    counter(
        "worker_sas_due",
        None,
        WORKER,
        "SAs that reached a soft limit of their lifetime. Each should be replaced.",
        WorkerCount(|worker| worker.sa_changes.due),
    ),
    counter(
        "worker_sas_expired",
        None,
        WORKER,
        "SAs that reached a hard limit of their lifetime and carry no more packets.",
        WorkerCount(|worker| worker.sa_changes.expired),
    ),
    gauge(
        "worker_sa_expiry_timestamp",
        SECONDS,
        TUNNEL,
        "Time at which the first of the worker's SAs with the peer reaches its hard time limit, in Unix time. Absent if no SA has one.",
        Worker(|worker| least_of_sas(worker, |sa| sa.expires)),
    ),
    gauge(
        "worker_path_mtu",
        BYTES,
        TUNNEL,
        "Path MTU to the peer's gateway for outer packets: the MTU of the NIC, unless a router on the path has reported a smaller one.",
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
        "Frames of the worker's UMEM that hold no packet.",
        WorkerCount(|worker| worker.frames.home),
    ),
];
