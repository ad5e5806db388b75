//! Documents of `perf engine`.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use crate::compare::figure::{Figure, Sample};
use crate::compare::measured::{Content, typed};

#[derive(Deserialize)]
struct Document {
    rounds: u32,
    frames: usize,
    frame_bytes: usize,
    figures: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    cipher: String,
    size: String,
    direction: String,
    what: String,
    backend: String,
    ns: f64,
    ns_min: f64,
    ns_max: f64,
}

pub fn read(document: Value) -> Result<Content> {
    let document: Document = typed(document)?;
    let plan = vec![
        ("frames", document.frames.to_string()),
        ("bytes of a frame", document.frame_bytes.to_string()),
    ];
    let mut content = Content {
        plan,
        ..Content::default()
    };
    for cell in document.figures {
        let Cell {
            cipher,
            size,
            direction,
            what,
            backend,
            ..
        } = &cell;
        let key = format!("{what} {direction}, {cipher} by {backend}, {size}");
        if what == "aead" {
            content.controls.insert(key.clone(), cell.ns);
        }
        let sample = Sample::Extremes {
            median: cell.ns,
            min: cell.ns_min,
            max: cell.ns_max,
            runs: document.rounds,
        };
        content.figures.push(Figure::ns(key, sample));
    }
    Ok(content)
}
