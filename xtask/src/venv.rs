//! The Python environment of the interoperability tests, inside the target directory.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::shell;
use crate::workspace::Workspace;

/// Whether the environment exists and was made from the present tests/interop/requirements.txt.
pub fn is_ready(workspace: &Workspace) -> Result<bool> {
    let wanted = wanted(workspace)?;
    let python = workspace.venv().join("bin/python3");
    // The link dangles if its Python was uninstalled.
    Ok(python.is_file()
        && fs::read_to_string(stamp(workspace)).is_ok_and(|installed| installed == wanted))
}

/// Creates the environment, in the place of an older one.
pub fn create(workspace: &Workspace) -> Result<()> {
    let wanted = wanted(workspace)?;
    let venv = workspace.venv();
    shell::run(
        shell::command("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )?;
    let mut pip = shell::command(venv.join("bin/python3"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    shell::run(pip.arg("--requirement").arg(workspace.requirements()))?;
    fs::write(stamp(workspace), wanted)
        .with_context(|| format!("cannot write {}", stamp(workspace).display()))
}

/// A copy of the requirements, written after their installation.
fn stamp(workspace: &Workspace) -> PathBuf {
    workspace.venv().join("requirements.txt")
}

fn wanted(workspace: &Workspace) -> Result<String> {
    let file = workspace.requirements();
    fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}
