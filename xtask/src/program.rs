//! `cargo xtask verify program`: what the kernel's verifier says of the XDP program.

use std::path::Path;

use anyhow::{Context, Result};

use crate::build::Built;
use crate::shell;
use crate::workspace::Workspace;

/// Asks the kernel; false where the program comes too near to a limit.
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
        // Here, not where cargo runs it.
        let json = std::path::absolute(json).context("the report's place is no path")?;
        cargo.arg("--json").arg(json);
    }
    let status = cargo.status().context("cannot start cargo")?;
    Ok(status.success())
}
