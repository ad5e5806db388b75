//! `cargo xtask perf`: builds both halves and the harness, and hands the rest to it.

use std::ffi::OsString;

use anyhow::Result;

use crate::build::Built;
use crate::shell;
use crate::workspace::Workspace;

/// Runs `perf/` with `arguments`.
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
