//! `perf gateway`.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::{Content, typed};
use crate::compare::figure::{Figure, Sample};

#[derive(Deserialize)]
struct Document {
    cipher: String,
    window_ms: u64,
    figures: Vec<Cell>,
    calls: Vec<Calls>,
    idle: Idle,
}

#[derive(Deserialize)]
struct Cell {
    size: String,
    what: String,
    mpps: Spread,
    over_forwarder: Spread,
}

#[derive(Deserialize)]
struct Spread {
    runs: Vec<f64>,
}

#[derive(Deserialize)]
struct Calls {
    size: String,
    what: String,
    per_packet: f64,
}

#[derive(Deserialize)]
struct Idle {
    core_percent: f64,
}

pub fn read(document: Value) -> Result<Content> {
    let document: Document = typed(document)?;
    let plan = vec![
        ("cipher", document.cipher),
        ("window", document.window_ms.to_string()),
    ];
    let cells = document.figures.into_iter().flat_map(|cell| {
        let key = format!("{}, {}", cell.what, cell.size);
        let ratio = format!("{key} over the plain forwarder");
        // Of the forwarder itself that is 1.
        let ratio = (cell.what != "forward")
            .then(|| Figure::more(ratio, "", Sample::Runs(cell.over_forwarder.runs)));
        let rate = Figure::more(key, "Mpps", Sample::Runs(cell.mpps.runs));
        std::iter::once(rate).chain(ratio)
    });
    let calls = document.calls.into_iter().map(|calls| {
        let key = format!("{}, {}: system calls", calls.what, calls.size);
        Figure::less(key, "a packet", Sample::Single(calls.per_packet))
    });
    let idle = Sample::Single(document.idle.core_percent);
    let idle = Figure::less("idle".to_owned(), "% of a core", idle);
    Ok((plan, cells.chain(calls).chain([idle]).collect()))
}
