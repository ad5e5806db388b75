//! Documents of `perf gateway`.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use crate::compare::figure::{Figure, Sample};
use crate::compare::measured::{Content, typed};
use crate::spread::Spread;

#[derive(Deserialize)]
struct Document {
    cipher: String,
    window_ms: u64,
    batch: u32,
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
    /// Absent in documents from before 27 November 2026.
    cpu_ns: Option<Spread>,
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
        ("batch", document.batch.to_string()),
    ];
    let mut content = Content {
        plan,
        ..Content::default()
    };
    for cell in document.figures {
        let key = format!("{}, {}", cell.what, cell.size);
        if cell.what == "forward" {
            content.controls.insert(key.clone(), cell.mpps.median);
        } else {
            let ratio = Sample::Runs(cell.over_forwarder.runs);
            let key = format!("{key} over the plain forwarder");
            content.figures.push(Figure::more(key, "", ratio));
        }
        if let Some(time) = cell.cpu_ns {
            let key = format!("{key}: core time");
            let time = Sample::Runs(time.runs);
            content.figures.push(Figure::less(key, "ns a packet", time));
        }
        let rate = Sample::Runs(cell.mpps.runs);
        content.figures.push(Figure::more(key, "Mpps", rate));
    }
    for calls in document.calls {
        let key = format!("{}, {}: system calls", calls.what, calls.size);
        let calls = Sample::Single(calls.per_packet);
        content.figures.push(Figure::less(key, "a packet", calls));
    }
    let idle = Sample::Single(document.idle.core_percent);
    let idle = Figure::less("idle".to_owned(), "% of a core", idle);
    content.figures.push(idle);
    Ok(content)
}
