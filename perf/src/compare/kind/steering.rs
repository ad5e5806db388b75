//! Documents of `perf steering`.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use crate::compare::figure::{Figure, Sample};
use crate::compare::measured::{Content, typed};

#[derive(Deserialize)]
struct Document {
    rounds: u32,
    verified_instructions: Option<u32>,
    translated_bytes: Option<u32>,
    compiled_bytes: u32,
    harness: Timed,
    packets: Vec<Timed>,
    gateways: Vec<Timed>,
    prefixes: Vec<Timed>,
}

#[derive(Deserialize)]
struct Timed {
    what: String,
    ns: f64,
    spread: [f64; 2],
}

pub fn read(document: Value) -> Result<Content> {
    let document: Document = typed(document)?;
    let figure = |timed: Timed| {
        let [min, max] = timed.spread;
        let sample = Sample::Extremes {
            median: timed.ns,
            min,
            max,
            runs: document.rounds,
        };
        Figure::ns(timed.what, sample)
    };
    let timed = [document.harness]
        .into_iter()
        .chain(document.packets)
        .chain(document.gateways)
        .chain(document.prefixes)
        .map(figure);
    let counted = [
        (
            "the program, verified",
            "instructions",
            document.verified_instructions,
        ),
        (
            "the program, translated",
            "bytes",
            document.translated_bytes,
        ),
        (
            "the program, compiled",
            "bytes",
            Some(document.compiled_bytes),
        ),
    ];
    let counted = counted.into_iter().filter_map(|(key, unit, count)| {
        let sample = Sample::Exact(count?.into());
        Some(Figure::less(key.to_owned(), unit, sample))
    });
    Ok(Content {
        figures: timed.chain(counted).collect(),
        ..Content::default()
    })
}
