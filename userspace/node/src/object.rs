//! The object file of the XDP program.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// The environment variable that overrides the path of the object file.
const VARIABLE: &str = "CAUSEWAY_XDP_OBJECT";
const FILE: &str = "causeway-xdp.o";

/// Reads the object file.
pub fn read() -> anyhow::Result<Vec<u8>> {
    let paths = paths()?;
    for path in &paths {
        match std::fs::read(path) {
            Ok(object) => return Ok(object),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        }
    }
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    bail!(
        "the object file of the XDP program does not exist: tried {}; build it with `cargo xtask build`, or set {VARIABLE} to its path",
        paths.join(", then ")
    )
}

fn paths() -> anyhow::Result<Vec<PathBuf>> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return Ok(vec![path.into()]);
    }
    let executable =
        std::env::current_exe().context("cannot determine the path of this executable")?;
    let folders = executable.ancestors().skip(1).take(2);
    Ok(folders.map(|folder| folder.join(FILE)).collect())
}
