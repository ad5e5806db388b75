//! `cargo xtask verify program`: the statistics of the kernel's verifier for the XDP program.

use std::path::Path;

use anyhow::{Context, Result};

use crate::build::Built;
use crate::shell;
use crate::workspace::Workspace;

/// Loads the program. Returns false if a count is too close to its limit.
pub fn verify(workspace: &Workspace, built: &Built, json: Option<&Path>) -> Result<bool> {
    let mut cargo = shell::cargo();
    cargo
        .current_dir(workspace.root())
        .env("CAUSEWAY_XDP_OBJECT", &built.xdp_object)
        .args([
            "run",
            "--quiet",
            "--package",
            "causeway-kernel-tests",
            "--bin",
            "causeway-verifier",
        ])
        .arg("--target-dir")
        .arg(workspace.target())
        .arg("--");
    if let Some(json) = json {
        // Relative to the directory of the user, which cargo may change.
        let json = std::path::absolute(json).context("the path of the report is invalid")?;
        cargo.arg("--json").arg(json);
    }
    let status = cargo.status().context("cannot start cargo")?;
    Ok(status.success())
}
