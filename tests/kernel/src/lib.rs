//! One corpus of packets for the verdicts of the host and of the kernel program, and the kernel verifier's
//! statistics on that program.

use std::path::Path;

use anyhow::{Context, Result};
use causeway_demux::Program;

pub mod corpus;
pub mod packet;
pub mod verifier;
pub mod world;

/// Reads the object file of the XDP program.
///
/// # Errors
/// It is not built.
pub fn object() -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/causeway-xdp.o");
    let missing = || format!("no {}: build it with `cargo xtask build`", path.display());
    std::fs::read(&path).with_context(missing)
}

/// Loads the XDP program.
///
/// # Errors
/// It is not built, or this process may not load it.
pub fn load() -> Result<Program> {
    Program::load(&object()?).context("this test needs root")
}
