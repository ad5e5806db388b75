//! A worker in the status document.

use causeway_api::status::{self, reasons};
use causeway_device::{CopyMode, Monitor};
use causeway_gateway::Totals;
use hdrhistogram::Histogram;

use super::profile;
use crate::worker_handle::WorkerHandle;

pub fn worker(
    handle: &WorkerHandle,
    monitor: &Monitor,
    totals: &Totals,
    sas: Vec<status::Sa>,
    latency: &Histogram<u64>,
    (total, home): (usize, usize),
) -> status::Worker {
    let stats = monitor.stats();
    let sequences = handle.control.counters.sequences_remaining();
    let measured = handle.control.counters.profile();
    let kernel_drops = [
        ("rx-ring-full", stats.rx_ring_full),
        ("fill-ring-empty", stats.rx_dropped),
    ];
    status::Worker {
        gateway: handle.gateway.clone(),
        worker: handle.id,
        core: handle.core,
        copy_mode: match monitor.copy_mode() {
            CopyMode::Copy => status::CopyMode::Copy,
            CopyMode::ZeroCopy => status::CopyMode::ZeroCopy,
        },
        received: totals.received,
        sent: totals.sent,
        originated: totals.originated,
        waiting: totals.waiting,
        holds: status::Holds {
            now: totals.holds,
            waiting: totals.holding,
            packets: totals.held,
            expired: totals.holds_expired,
        },
        control_packets: totals.messages,
        control_sealed: totals.messages_sealed,
        worker_stalls: totals.worker_stalls,
        sealed: volume(totals.sealed),
        opened: volume(totals.opened),
        drops: reasons(
            totals
                .drops
                .iter()
                .map(|(reason, count)| (reason.name(), count)),
        ),
        kernel_drops: reasons(kernel_drops),
        tunnels: handle
            .templates
            .iter()
            .zip(handle.control.counters.path_mtus())
            .map(|(template, path_mtu)| status::Tunnel {
                peering: template.peering.clone(),
                path_mtu,
            })
            .collect(),
        sequence_numbers_remaining: sequences.into_iter().min().unwrap_or(0),
        sas,
        sa_changes: status::SaChanges {
            installed: totals.sas.installed,
            switched: totals.sas.switched,
            retired: totals.sas.retired,
            due: totals.sas.due,
            expired: totals.sas.expired,
        },
        latency_ns: status::Latency {
            count: latency.len(),
            p50: latency.value_at_quantile(0.5),
            p99: latency.value_at_quantile(0.99),
            p999: latency.value_at_quantile(0.999),
            max: latency.max(),
        },
        frames: status::Frames {
            total: total as u64,
            home: home as u64,
        },
        rounds: status::Rounds {
            all: totals.rounds,
            empty: totals.empty_rounds,
            sleeps: totals.wakeups,
            asleep_ns: totals.asleep.as_nanos() as u64,
        },
        bursts: profile::bursts(&measured.bursts),
        stages: profile::stages(&measured.stages),
        rings: profile::rings(&measured.rings),
    }
}

fn volume(traffic: causeway_gateway::Traffic) -> status::Volume {
    status::Volume {
        packets: traffic.packets,
        bytes: traffic.bytes,
    }
}
