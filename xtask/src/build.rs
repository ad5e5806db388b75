//! `cargo xtask build`: the XDP object and the causeway binary.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// What a build leaves.
pub struct Built {
    /// The causeway binary.
    pub causeway: PathBuf,
    /// The XDP program.
    pub xdp_object: PathBuf,
    /// What the perf harness has in the kernel.
    pub load_object: PathBuf,
}

/// Builds both halves. Cargo decides what there is to do.
pub fn both(workspace: &Workspace, toolchain: &Toolchain) -> Result<Built> {
    kernel_half(workspace, toolchain)?;
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

fn kernel_half(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let mut cargo = shell::command(&toolchain.compiler.cargo);
    cargo
        .current_dir(workspace.root())
        .env("RUSTC", &toolchain.compiler.rustc)
        // A release compiler refuses -Z flags without this; a nightly does not mind.
        .env("RUSTC_BOOTSTRAP", "1")
        // Above RUSTFLAGS and every configuration file: what the host is built with is
        // nothing for this target.
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
    // BTF is made from the debug information; aya needs it for the maps.
    let linker = format!("-Clinker={}", linker.display());
    [linker.as_str(), "-Cdebuginfo=2", "-Clink-arg=--btf"].join("\u{1f}")
}

/// Puts a file in its place in one step, and only if it is another one than lies there: a
/// role that starts at this moment reads the old program or the new one, never a half.
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
        let folder = std::env::temp_dir().join(format!("xtask-publish-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (built, place) = (folder.join("built"), folder.join("place.o"));
        fs::write(&built, "one").unwrap();
        publish(&built, &place).unwrap();
        let first = fs::metadata(&place).unwrap().modified().unwrap();
        publish(&built, &place).unwrap();
        assert_eq!(fs::metadata(&place).unwrap().modified().unwrap(), first);
        fs::write(&built, "two").unwrap();
        publish(&built, &place).unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "two");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
