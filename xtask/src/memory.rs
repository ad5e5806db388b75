//! `cargo xtask verify memory`: the tests of the rooms beside `unsafe` and foreign code, under
//! AddressSanitizer and under valgrind. docs/proof.md says why these two and not Miri.

use std::process::Command;

use anyhow::{Context, Result};

use crate::build::Built;
use crate::shell;
use crate::workspace::Workspace;

/// Rooms with `unsafe` of ours, and the one that hands packets to foreign code.
const ROOMS: [&str; 3] = ["causeway-esp", "causeway-ipsec-mb", "causeway-device"];

/// What valgrind reads: the tests in which packets pass through assembly, which no sanitizer sees. Those
/// that only repeat it with more inputs are left out, since valgrind takes thirty times as long.
const FOREIGN: [&[&str]; 2] = [
    &["--package", "causeway-ipsec-mb", "--lib", "--tests"],
    &[
        "--package",
        "causeway-esp",
        "--test",
        "burst",
        "--test",
        "families",
        "--test",
        "receiving",
        "--test",
        "sending",
        "--test",
        "settings",
    ],
];

/// Both, after one another.
pub fn verify(workspace: &Workspace, built: &Built) -> Result<()> {
    sanitized(workspace, built)?;
    under_valgrind(workspace)
}

/// Every test of the rooms, those over the kernel too, with each access to memory of Rust's own
/// checked. In a target directory of its own, and a little optimised: unoptimised it takes ten times
/// as long.
fn sanitized(workspace: &Workspace, built: &Built) -> Result<()> {
    let host = shell::host()?;
    let mut cargo = shell::cargo();
    cargo
        .current_dir(workspace.root())
        // The stable compiler has the pass and the toolchain brings the library; only the flag that
        // joins them is a nightly's.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", "-Zsanitizer=address")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CAUSEWAY_XDP_OBJECT", &built.xdp_object)
        .args(["test", "--no-fail-fast", "--lib", "--tests"])
        // By name, so that build scripts and macros are built as ever.
        .args(["--target", &host, "--target-dir"])
        .arg(workspace.target().join("memory"))
        .args(ROOMS.iter().flat_map(|room| ["--package", room]));
    shell::run(&mut cargo).context("AddressSanitizer found fault, or a test failed under it")
}

/// The foreign code on the path, as it runs on a CPU without AVX-512, which valgrind does not know.
pub fn under_valgrind(workspace: &Workspace) -> Result<()> {
    let host = shell::host()?.to_uppercase().replace('-', "_");
    for tests in FOREIGN {
        let mut cargo: Command = shell::cargo();
        cargo
            .current_dir(workspace.root())
            .env(
                format!("CARGO_TARGET_{host}_RUNNER"),
                "valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite",
            )
            .args(["test", "--no-fail-fast", "--target-dir"])
            .arg(workspace.target())
            .args(tests);
        shell::run(&mut cargo).context("valgrind found fault, or a test failed under it")?;
    }
    Ok(())
}
