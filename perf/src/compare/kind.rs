//! Reads the documents of every kind into one form.

mod curve;
mod engine;
mod gateway;
mod path;
mod steering;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::measured::{Content, Head, Measured, typed};

type Reader = fn(Value) -> Result<Content>;

/// Name and version of each kind, and a key that identifies a document without the key `kind`.
const KINDS: [(&str, u32, &str, Reader); 5] = [
    ("curve", 1, "curves", curve::read),
    ("engine", 1, "frame_bytes", engine::read),
    ("gateway", 1, "load_core", gateway::read),
    ("path", 1, "peer", path::read),
    ("steering", 1, "harness", steering::read),
];

/// Reads a document of any kind.
pub fn read(text: &str) -> Result<Measured> {
    let document: Value = serde_json::from_str(text).context("the file is not JSON")?;
    let declared = document.get("kind").and_then(Value::as_str);
    let known = KINDS.iter().find(|(name, _, key, _)| match declared {
        Some(kind) => kind == *name,
        None => document.get(key).is_some(),
    });
    let Some((kind, version, _, reader)) = known else {
        let names = KINDS.map(|(name, ..)| name).join(", ");
        let found = declared.map_or("its kind is unknown".to_owned(), |kind| {
            format!("its kind is {kind:?}")
        });
        bail!("{found}; expected a document of `cargo xtask perf` {names}");
    };
    let head: Head = typed(document.clone())?;
    ensure!(
        head.version == *version,
        "the document has version {}, but this program reads version {version} of {kind}; measure again with this program",
        head.version
    );
    let content = reader(document)?;
    Ok(Measured {
        kind,
        head,
        content,
    })
}
