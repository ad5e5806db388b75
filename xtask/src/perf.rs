//! `cargo xtask perf`: builds everything and starts the performance harness.

use std::ffi::OsString;

use anyhow::Result;

use crate::build::Built;
use crate::shell;
use crate::workspace::Workspace;

/// Runs the crate `perf` with these arguments.
pub fn run(workspace: &Workspace, built: &Built, arguments: &[OsString]) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo
        .current_dir(workspace.root())
        .env("CAUSEWAY_BINARY", &built.causeway)
        .env("CAUSEWAY_XDP_OBJECT", &built.xdp_object)
        .env("CAUSEWAY_LOAD_OBJECT", &built.load_object)
        .args([
            "run",
            "--release",
            "--package",
            "causeway-perf",
            "--target-dir",
        ])
        .arg(workspace.target())
        .arg("--")
        .args(arguments);
    shell::run(&mut cargo)
}
