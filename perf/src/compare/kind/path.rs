//! `perf path`.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::{Content, typed};
use crate::compare::figure::{Figure, Sample};

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
}

pub fn read(document: Value) -> Result<Content> {
    let document: Document = typed(document)?;
    let figure = |cell: Cell| {
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
            "{axis}: {direction} {cipher}, {size}, {frames}, batch {batch}, {sas} SAs in {order}, {flows} flows"
        );
        let sample = Sample::Extremes {
            median: cell.ns,
            min: cell.ns_min,
            max: cell.ns_max,
            runs: document.rounds,
        };
        Figure::ns(key, sample)
    };
    let figures = document.figures.into_iter().map(figure).collect();
    Ok((Vec::new(), figures))
}
