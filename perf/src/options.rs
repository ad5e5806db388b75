//! Options of several measurements.

use std::path::PathBuf;

use anyhow::{Context, Result};
use causeway_lab::Options;
use serde::Serialize;

#[derive(clap::Args)]
pub struct Built {
    /// The causeway binary
    #[arg(
        long,
        env = "CAUSEWAY_BINARY",
        default_value = "target/release/causeway",
        value_parser = absolute
    )]
    pub causeway: PathBuf,
    /// Object file of the XDP program
    #[arg(
        long,
        env = "CAUSEWAY_XDP_OBJECT",
        default_value = "target/causeway-xdp.o",
        value_parser = absolute
    )]
    pub object: PathBuf,
}

/// Parses a path that child processes find from their own directories.
pub fn absolute(path: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

impl Built {
    /// The default options of a lab that runs these files.
    pub fn lab_options(&self) -> Options {
        Options::new(&self.causeway, &self.object)
    }
}

#[derive(clap::Args)]
pub struct Output {
    /// Also write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Output {
    /// Writes the document if a file was given.
    pub fn write(&self, document: &impl Serialize) -> Result<()> {
        let Some(path) = &self.json else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(document)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}
