//! A row for each worker: what it moves.

use super::{Seat, rate_of_drops};
use crate::top::figures::{UNKNOWN, or_unknown, percent, short, sum, time};
use crate::top::table::{Cell, Table, Tone, number, words};

/// A worker that is busier has little left.
const BUSY: f64 = 0.9;

pub fn table(seats: &[Seat<'_>]) -> Table {
    Table {
        title: "WORKERS".to_owned(),
        columns: vec![
            words("#", 0),
            words("GATEWAY", 0),
            number("W", 0),
            number("CORE", 6),
            number("BUSY", 1),
            number("IN pkt/s", 1),
            number("OUT pkt/s", 3),
            number("SEALED bit/s", 1),
            number("OPENED bit/s", 1),
            number("DROP/s", 2),
            number("WAIT", 5),
            number("p50", 4),
            number("p99", 2),
            number("p99.9", 4),
            number("MAX", 5),
            number("RX RING", 6),
            number("FILL", 7),
            number("TX RING", 7),
            words("MODE", 8),
        ],
        rows: seats.iter().map(row).collect(),
    }
}

fn row(seat: &Seat<'_>) -> Vec<Cell> {
    let (worker, pace) = (seat.worker, seat.pace);
    let rate = |counter: fn(&crate::status::Worker) -> u64, scale: f64| {
        or_unknown(pace.map(|pace| pace.of(counter) * scale), short)
    };
    let latency = |nanoseconds: u64| match worker.latency_ns.count {
        0 => UNKNOWN.to_owned(),
        _ => time(nanoseconds as f64),
    };
    let ring = |name| or_unknown(pace.and_then(|pace| pace.ring(name)), percent);
    let mut cells = Vec::from(seat.name());
    cells.extend([
        or_unknown(worker.core, |core| core.to_string()).into(),
        busy(seat),
        rate(|worker| worker.received, 1.0).into(),
        rate(|worker| sum([worker.sent, worker.originated]), 1.0).into(),
        rate(|worker| worker.sealed.bytes, 8.0).into(),
        rate(|worker| worker.opened.bytes, 8.0).into(),
        rate_of_drops(seat.dropped()),
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

fn busy(seat: &Seat<'_>) -> Cell {
    let busy = seat.pace.map(|pace| pace.busy());
    let tone = if busy.is_some_and(|busy| busy > BUSY) {
        Tone::Warn
    } else {
        Tone::Plain
    };
    Cell::new(or_unknown(busy, percent), tone)
}
