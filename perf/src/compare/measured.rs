//! A measurement of any kind, in the form that `perf compare` uses.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
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

/// The keys that all documents share.
#[derive(Debug, Clone, Deserialize)]
pub struct Head {
    pub version: u32,
    pub machine: Machine,
    /// Load average of one minute, before and after.
    pub load: [Option<f64>; 2],
    pub commit: Option<String>,
}

/// The options on which figures depend, by name and value.
pub type Plan = Vec<(&'static str, String)>;

/// The part of a document that depends on its kind.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pub plan: Plan,
    pub figures: Vec<Figure>,
    /// Medians of measurements that do not run Causeway, from the same rounds. Their changes show how the machine drifted.
    pub controls: BTreeMap<String, f64>,
}

/// Reads the part of a document that `T` describes.
pub fn typed<T: DeserializeOwned>(document: Value) -> Result<T> {
    serde_json::from_value(document).context("the document lacks a key that its kind requires")
}
