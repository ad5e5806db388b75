//! `cargo xtask build`: the XDP object and the causeway binary.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// The files that a build makes.
pub struct Built {
    pub causeway: PathBuf,
    pub xdp_object: PathBuf,
    /// The BPF programs of `cargo xtask perf gateway`.
    pub load_object: PathBuf,
}

/// Builds the XDP program and the binary.
pub fn all(workspace: &Workspace, toolchain: &Toolchain) -> Result<Built> {
    xdp_program(workspace, toolchain)?;
    let mut cargo = shell::cargo();
    cargo.current_dir(workspace.root());
    cargo.args([
        "build",
        "--release",
        "--package",
        "causeway",
        "--target-dir",
    ]);
    shell::run(cargo.arg(workspace.target()))?;
    Ok(Built {
        causeway: workspace.causeway(),
        xdp_object: workspace.xdp_object(),
        load_object: workspace.load_object(),
    })
}

fn xdp_program(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let mut cargo = shell::command(&toolchain.compiler.cargo);
    cargo
        .current_dir(workspace.root())
        .env("RUSTC", &toolchain.compiler.rustc)
        // A release compiler accepts -Z flags only with this. A nightly ignores it.
        .env("RUSTC_BOOTSTRAP", "1")
        // Overrides RUSTFLAGS and every configuration file: flags for the host do not fit this target.
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&toolchain.linker))
        .env_remove("RUSTUP_TOOLCHAIN")
        .args(["build", "--release", "--manifest-path"])
        .arg(workspace.ebpf_manifest())
        .args(["-Zbuild-std=core", "--target", TARGET, "--target-dir"])
        .arg(workspace.ebpf_target());
    shell::run(&mut cargo)?;
    let built = workspace.ebpf_target().join(TARGET).join("release");
    publish(&built.join("causeway-xdp"), &workspace.xdp_object())?;
    publish(&built.join("causeway-load"), &workspace.load_object())
}

const TARGET: &str = "bpfel-unknown-none";

fn rustflags(linker: &Path) -> String {
    // aya reads the map definitions from BTF, which bpf-linker makes from the debug information.
    let linker = format!("-Clinker={}", linker.display());
    [linker.as_str(), "-Cdebuginfo=2", "-Clink-arg=--btf"].join("\u{1f}")
}

/// Replaces a file atomically if its content changed. A role that starts at the same time reads either the old or the
/// new program.
fn publish(built: &Path, place: &Path) -> Result<()> {
    let new = fs::read(built).with_context(|| format!("cannot read {}", built.display()))?;
    if fs::read(place).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let beside = place.with_extension(format!("{}.new", std::process::id()));
    fs::write(&beside, new)
        .and_then(|()| fs::rename(&beside, place))
        .with_context(|| format!("cannot write {}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_object_is_left_alone_and_a_changed_one_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name| folder.path().join(name);
        let (built, place) = (file("built"), file("place.o"));
        fs::write(&built, "one").unwrap();
        publish(&built, &place).unwrap();
        let first = fs::metadata(&place).unwrap().modified().unwrap();
        publish(&built, &place).unwrap();
        assert_eq!(fs::metadata(&place).unwrap().modified().unwrap(), first);
        fs::write(&built, "two").unwrap();
        publish(&built, &place).unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
