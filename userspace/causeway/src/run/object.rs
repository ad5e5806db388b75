//! Where the kernel program's object file lies.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// The variable that names the object file, before any other place.
const VARIABLE: &str = "CAUSEWAY_XDP_OBJECT";
const FILE: &str = "causeway-xdp.o";

/// Reads the object file.
pub fn read() -> anyhow::Result<Vec<u8>> {
    let places = places()?;
    for place in &places {
        match std::fs::read(place) {
            Ok(object) => return Ok(object),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", place.display()));
            }
        }
    }
    let places: Vec<_> = places
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    bail!(
        "the kernel program is absent: looked for {}; build it with `cargo xtask build`, or name it in {VARIABLE}",
        places.join(", then ")
    )
}

fn places() -> anyhow::Result<Vec<PathBuf>> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(vec![named.into()]);
    }
    let executable = std::env::current_exe().context("cannot tell where this executable lies")?;
    let folders = executable.ancestors().skip(1).take(2);
    Ok(folders.map(|folder| folder.join(FILE)).collect())
}
