//! A row for each worker: traffic, drops, latencies and rings.

use super::cells::drop_rate;
use super::worker_rows::WorkerRow;
use crate::top::figures::{UNKNOWN, or_unknown, percent, short, sum, time};
use crate::top::table::{Cell, Table, Tone, number_column, text_column};

/// Above this share of time a worker has little capacity left.
const BUSY: f64 = 0.9;

pub fn table(workers: &[WorkerRow<'_>]) -> Table {
    Table {
        title: "WORKERS".to_owned(),
        columns: vec![
            text_column("#", 0),
            text_column("GATEWAY", 0),
            number_column("W", 0),
            number_column("CORE", 6),
            number_column("BUSY", 1),
            number_column("IN pkt/s", 1),
            number_column("OUT pkt/s", 3),
            number_column("SEALED bit/s", 1),
            number_column("OPENED bit/s", 1),
            number_column("DROP/s", 2),
            number_column("WAIT", 5),
            number_column("p50", 4),
            number_column("p99", 2),
            number_column("p99.9", 4),
            number_column("MAX", 5),
            number_column("RX RING", 6),
            number_column("FILL", 7),
            number_column("TX RING", 7),
            text_column("MODE", 8),
        ],
        rows: workers.iter().map(row).collect(),
    }
}

fn row(row: &WorkerRow<'_>) -> Vec<Cell> {
    let (worker, rates) = (row.worker, row.rates);
    let rate = |counter: fn(&causeway_api::status::Worker) -> u64, scale: f64| {
        or_unknown(rates.map(|rates| rates.per_second(counter) * scale), short)
    };
    let latency = |nanoseconds: u64| match worker.latency_ns.count {
        0 => UNKNOWN.to_owned(),
        _ => time(nanoseconds as f64),
    };
    let ring = |name| or_unknown(rates.and_then(|rates| rates.ring(name)), percent);
    let mut cells = Vec::from(row.name());
    cells.extend([
        or_unknown(worker.core, |core| core.to_string()).into(),
        busy(row),
        rate(|worker| worker.received, 1.0).into(),
        rate(|worker| sum([worker.sent, worker.originated]), 1.0).into(),
        rate(|worker| worker.sealed.bytes, 8.0).into(),
        rate(|worker| worker.opened.bytes, 8.0).into(),
        drop_rate(row.drops()),
        worker.waiting.to_string().into(),
        latency(worker.latency_ns.p50).into(),
        latency(worker.latency_ns.p99).into(),
        latency(worker.latency_ns.p999).into(),
        latency(worker.latency_ns.max).into(),
        ring("receive").into(),
        ring("fill").into(),
        ring("transmit").into(),
        worker.copy_mode.name().into(),
    ]);
    cells
}

fn busy(row: &WorkerRow<'_>) -> Cell {
    let busy = row.rates.map(|rates| rates.busy());
    let tone = if busy.is_some_and(|busy| busy > BUSY) {
        Tone::Warn
    } else {
        Tone::Plain
    };
    Cell::new(or_unknown(busy, percent), tone)
}
