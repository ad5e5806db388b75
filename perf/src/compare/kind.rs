//! Documents of every kind, read into one form.

mod curve;
mod engine;
mod gateway;
mod path;
mod steering;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::figure::Figure;
use crate::machine::Machine;

/// A measurement of any kind.
#[derive(Debug, Clone)]
pub struct Measured {
    pub kind: &'static str,
    pub head: Head,
    pub content: Content,
}

/// What all documents begin with.
#[derive(Debug, Clone, Deserialize)]
pub struct Head {
    version: u32,
    pub machine: Machine,
    /// Load average of one minute, before and after.
    pub load: [Option<f64>; 2],
    pub commit: Option<String>,
}

/// What was asked for, as far as figures hang on it: name and value.
pub type Plan = Vec<(&'static str, String)>;

/// What documents of a kind have of their own.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pub plan: Plan,
    pub figures: Vec<Figure>,
    /// Medians of what no change of Causeway touches, measured in the same rounds: they tell how the machine drifted.
    pub controls: BTreeMap<String, f64>,
}

type Reader = fn(Value) -> Result<Content>;

/// Name and version of each kind, and a key that tells those apart which do not say their name.
const KINDS: [(&str, u32, &str, Reader); 5] = [
    ("curve", 1, "curves", curve::read),
    ("engine", 1, "frame_bytes", engine::read),
    ("gateway", 1, "load_core", gateway::read),
    ("path", 1, "peer", path::read),
    ("steering", 1, "harness", steering::read),
];

/// Reads a document of any kind.
pub fn read(text: &str) -> Result<Measured> {
    let document: Value = serde_json::from_str(text).context("it is no JSON")?;
    let said = document.get("kind").and_then(Value::as_str);
    let known = KINDS.iter().find(|(name, _, key, _)| match said {
        Some(kind) => kind == *name,
        None => document.get(key).is_some(),
    });
    let Some((kind, version, _, reader)) = known else {
        let names = KINDS.map(|(name, ..)| name).join(", ");
        let what = said.map_or("its kind is unknown".to_owned(), |kind| {
            format!("its kind is {kind:?}")
        });
        bail!("{what}; expected a document of `cargo xtask perf` {names}");
    };
    let head: Head = typed(document.clone())?;
    ensure!(
        head.version == *version,
        "it is of version {}, and this program reads version {version} of {kind}: measure both with one program",
        head.version
    );
    let content = reader(document)?;
    Ok(Measured {
        kind,
        head,
        content,
    })
}

fn typed<T: DeserializeOwned>(document: Value) -> Result<T> {
    serde_json::from_value(document).context("it lacks what a document of its kind has")
}
