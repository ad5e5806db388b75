//! Metrics of where a worker's time goes.

use super::workers::WORKER;
use super::{PACKETS, SECONDS, counter, gauge, histogram};
use crate::metrics::Family;
use crate::metrics::Source::{Worker, WorkerCount};
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
        "Rounds in which nothing moved.",
        WorkerCount(|worker| worker.rounds.empty),
    ),
    counter(
        "worker_sleeps",
        None,
        WORKER,
        "Times that the worker slept until it was woken, or until a limit was over.",
        WorkerCount(|worker| worker.rounds.sleeps),
    ),
    counter(
        "worker_asleep",
        SECONDS,
        WORKER,
        "How long the worker slept.",
        Worker(asleep),
    ),
    histogram(
        "worker_burst",
        PACKETS,
        WORKER,
        "Packets that the worker took at once.",
        Worker(bursts),
    ),
    counter(
        "worker_stage",
        PACKETS,
        STAGE,
        "Packets that went through the stage in rounds that were timed: one in 31.",
        Worker(|worker| by_stage(worker, |stage| stage.packets)),
    ),
    counter(
        "worker_stage",
        SECONDS,
        STAGE,
        "What the stage took in those rounds.",
        Worker(stage_seconds),
    ),
    counter(
        "worker_ring_looks",
        None,
        WORKER,
        "Times that the rings were looked at: once in each of those rounds.",
        WorkerCount(|worker| worker.rings.looks),
    ),
    counter(
        "worker_ring_seen_entries",
        None,
        RING,
        "What stood in the ring, summed over all looks; divided by them, its mean occupancy.",
        Worker(|worker| by_ring(worker, |ring| ring.entries)),
    ),
    gauge(
        "worker_ring_room_entries",
        None,
        RING,
        "The most that can stand in the ring at one look.",
        Worker(|worker| by_ring(worker, |ring| ring.room)),
    ),
];
