//! The samples of families with more than one sample.

use causeway_steering::DropReason;

use super::family::{Sample, Value};
use causeway_api::status::{self, Reasons};

pub(super) fn info(status: &status::Status) -> Vec<Sample> {
    let labels = [
        env!("CARGO_PKG_VERSION"),
        status.role.name(),
        &status.nic.name,
        status.nic.xdp_mode.name(),
    ];
    vec![Sample::of(labels, 1)]
}

pub(super) fn worker_info(worker: &status::Worker) -> Vec<Sample> {
    let core = worker.core.map(|core| core.to_string());
    let labels = [core.as_deref().unwrap_or(""), worker.copy_mode.name()];
    vec![Sample::of(labels, 1)]
}

pub(super) fn path_mtu(worker: &status::Worker) -> Vec<Sample> {
    let tunnels = worker.tunnels.iter();
    tunnels
        .map(|tunnel| Sample::of([&tunnel.peering], tunnel.path_mtu))
        .collect()
}

/// For each peering the least value among its SAs. SAs that are being retired have a successor and do not count.
pub(super) fn least_of_sas(
    worker: &status::Worker,
    of: fn(&status::Sa) -> Option<u64>,
) -> Vec<Sample> {
    let in_use = |sa: &&status::Sa| !matches!(sa.state.as_str(), "retiring" | "draining");
    let sample = |tunnel: &status::Tunnel| {
        let sas = worker.sas.iter().filter(in_use);
        let of_peering = sas.filter(|sa| sa.peering == tunnel.peering);
        let least = of_peering.filter_map(of).min()?;
        Some(Sample::of([&tunnel.peering], least))
    };
    worker.tunnels.iter().filter_map(sample).collect()
}

pub(super) fn by_gateway(
    status: &status::Status,
    count: fn(&status::Gateway) -> u64,
) -> Vec<Sample> {
    let gateways = status.steering.gateways.iter();
    gateways
        .map(|gateway| Sample::of([&gateway.name], count(gateway)))
        .collect()
}

pub(super) fn drops(counts: &Reasons) -> Vec<Sample> {
    by_reason(DropReason::ALL.iter().map(|reason| reason.name()), counts)
}

pub(super) fn by_reason(
    names: impl Iterator<Item = &'static str>,
    counts: &Reasons,
) -> Vec<Sample> {
    names
        .map(|name| Sample::of([name], counts.get(name).copied().unwrap_or(0)))
        .collect()
}

pub(super) fn latency(worker: &status::Worker) -> Vec<Sample> {
    let latency = &worker.latency_ns;
    let quantiles = [
        ("0.5", latency.p50),
        ("0.99", latency.p99),
        ("0.999", latency.p999),
        ("1", latency.max),
    ];
    quantiles
        .into_iter()
        .map(|(quantile, nanoseconds)| Sample::seconds([quantile], nanoseconds))
        .collect()
}

pub(super) fn changes(table: &status::Table) -> Vec<Sample> {
    let status::Changes {
        done,
        refused,
        given_up,
    } = table.changes;
    [("done", done), ("refused", refused), ("given-up", given_up)]
        .map(|(result, count)| Sample::of([result], count))
        .into()
}

pub(super) fn moved(table: &status::Table) -> Vec<Sample> {
    let status::MovedBuckets { idle, barrier } = table.moved;
    [("idle", idle), ("barrier", barrier)]
        .map(|(method, buckets)| Sample::of([method], buckets))
        .into()
}

pub(super) fn state(pair: &status::Pair) -> Vec<Sample> {
    let each = |state: status::PairState| Sample::of([state.name()], (state == pair.state).into());
    status::PairState::ALL.map(each).into()
}

pub(super) fn round_trip(pair: &status::Pair) -> Vec<Sample> {
    let round_trip = pair.round_trip_ns.into_iter();
    round_trip
        .map(|nanoseconds| Sample::seconds([], nanoseconds))
        .collect()
}

pub(super) fn asleep(worker: &status::Worker) -> Vec<Sample> {
    vec![Sample::seconds([], worker.rounds.asleep_ns)]
}

pub(super) fn bursts(worker: &status::Worker) -> Vec<Sample> {
    let classes = worker.bursts.iter();
    let class = |burst: &status::Burst| {
        let most = burst.most.map_or(f64::INFINITY, |most| most as f64);
        (most, burst.count)
    };
    vec![Sample {
        labels: Vec::new(),
        value: Value::Histogram(worker.received, classes.map(class).collect()),
    }]
}

pub(super) fn by_stage(worker: &status::Worker, count: fn(&status::Stage) -> u64) -> Vec<Sample> {
    let stages = worker.stages.iter();
    stages
        .map(|stage| Sample::of([&stage.stage], count(stage)))
        .collect()
}

pub(super) fn stage_seconds(worker: &status::Worker) -> Vec<Sample> {
    let stages = worker.stages.iter();
    stages
        .map(|stage| Sample::seconds([&stage.stage], stage.ns))
        .collect()
}

pub(super) fn by_ring(worker: &status::Worker, count: fn(&status::Ring) -> u64) -> Vec<Sample> {
    let rings = worker.rings.named();
    rings
        .map(|(name, ring)| Sample::of([name], count(&ring)))
        .into()
}
