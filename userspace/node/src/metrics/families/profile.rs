//! Metrics of a worker's profile.

use crate::metrics::family::Family;
use crate::metrics::family::Source::{Worker, WorkerCount};
use crate::metrics::family::{PACKETS, SECONDS, WORKER, counter, gauge, histogram};
use crate::metrics::samples::{asleep, bursts, by_ring, by_stage, stage_seconds};

const STAGE: &[&str] = &["gateway", "worker", "stage"];
const RING: &[&str] = &["gateway", "worker", "ring"];

pub const FAMILIES: &[Family] = &[
    counter(
        "worker_rounds",
        None,
        WORKER,
        "Rounds of the worker's loop.",
        WorkerCount(|worker| worker.rounds.all),
    ),
    counter(
        "worker_empty_rounds",
        None,
        WORKER,
        "Rounds in which the worker received and sent no packet.",
        WorkerCount(|worker| worker.rounds.empty),
    ),
    counter(
        "worker_sleeps",
        None,
        WORKER,
        "Times that the worker slept until an event or a timeout.",
        WorkerCount(|worker| worker.rounds.sleeps),
    ),
    counter(
        "worker_asleep",
        SECONDS,
        WORKER,
        "Time that the worker slept.",
        Worker(asleep),
    ),
    histogram(
        "worker_burst",
        PACKETS,
        WORKER,
        "Packets per burst.",
        Worker(bursts),
    ),
    counter(
        "worker_stage",
        PACKETS,
        STAGE,
        "Packets that the stage handled in the timed rounds. One round in 31 is timed.",
        Worker(|worker| by_stage(worker, |stage| stage.packets)),
    ),
    counter(
        "worker_stage",
        SECONDS,
        STAGE,
        "Time that the stage took in the timed rounds.",
        Worker(stage_seconds),
    ),
    counter(
        "worker_ring_samples",
        None,
        WORKER,
        "Samples of the ring occupancy. One is taken in each timed round.",
        WorkerCount(|worker| worker.rings.samples),
    ),
    counter(
        "worker_ring_occupancy_entries",
        None,
        RING,
        "Sum of the occupied entries of the ring over all samples. Divided by `causeway_worker_ring_samples_total`: the mean occupancy.",
        Worker(|worker| by_ring(worker, |ring| ring.entries)),
    ),
    gauge(
        "worker_ring_room_entries",
        None,
        RING,
        "Capacity of the ring.",
        Worker(|worker| by_ring(worker, |ring| ring.room)),
    ),
];
