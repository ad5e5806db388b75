//! Documents of `perf path`.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use crate::compare::figure::{Figure, Sample};
use crate::compare::measured::{Content, typed};

#[derive(Deserialize)]
struct Document {
    rounds: u32,
    figures: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    axis: String,
    cipher: String,
    size: String,
    direction: String,
    frames: String,
    batch: usize,
    sas: usize,
    order: String,
    flows: usize,
    ns: f64,
    ns_min: f64,
    ns_max: f64,
    aead_ns: f64,
}

pub fn read(document: Value) -> Result<Content> {
    let document: Document = typed(document)?;
    let mut content = Content::default();
    for cell in document.figures {
        let Cell {
            axis,
            cipher,
            size,
            direction,
            frames,
            batch,
            sas,
            order,
            flows,
            ..
        } = &cell;
        let key = format!(
            "{axis}: {direction} {cipher}, {size}, {frames}, batch {batch}, SAs {sas} in {order}, flows {flows}"
        );
        content.controls.insert(key.clone(), cell.aead_ns);
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
