//! `cargo xtask verify memory`: runs the tests of the crates with `unsafe` or foreign code under AddressSanitizer and
//! valgrind. docs/proof.md explains why Miri is not used.

use std::process::Command;

use anyhow::{Context, Result};

use crate::build::Built;
use crate::shell;
use crate::workspace::Workspace;

/// The crates with `unsafe`, and the one that passes packets to foreign code.
const CRATES: [&str; 3] = ["causeway-esp", "causeway-ipsec-mb", "causeway-device"];

/// The tests for valgrind: they run assembly, which AddressSanitizer does not check. Tests that only repeat this with
/// more inputs are left out, since valgrind is thirty times slower.
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

/// Runs AddressSanitizer, then valgrind.
pub fn verify(workspace: &Workspace, built: &Built) -> Result<()> {
    sanitized(workspace, built)?;
    let mut commands = under_valgrind(workspace)?;
    commands
        .iter_mut()
        .try_for_each(shell::run)
        .context("valgrind reported an error, or a test failed")
}

/// Runs all tests of the crates, including those with kernel sockets, in a separate target directory. The build is
/// optimised a little: unoptimised it takes ten times as long.
fn sanitized(workspace: &Workspace, built: &Built) -> Result<()> {
    let host = shell::host()?;
    let mut cargo = shell::cargo();
    cargo
        .current_dir(workspace.root())
        // The stable toolchain has the pass and the library, but accepts the flag only with this.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", "-Zsanitizer=address")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CAUSEWAY_XDP_OBJECT", &built.xdp_object)
        .args(["test", "--no-fail-fast", "--lib", "--tests"])
        // With an explicit `--target`, build scripts and macros are built without the sanitizer.
        .args(["--target", &host, "--target-dir"])
        .arg(workspace.target().join("memory"))
        .args(CRATES.iter().flat_map(|name| ["--package", name]));
    shell::run(&mut cargo).context("AddressSanitizer reported an error, or a test failed")
}

/// The commands that run the tests of the foreign code. valgrind emulates a CPU without AVX-512.
pub fn under_valgrind(workspace: &Workspace) -> Result<Vec<Command>> {
    let host = shell::host()?.to_uppercase().replace('-', "_");
    let command = |tests: &[&str]| {
        let mut cargo = shell::cargo();
        cargo
            .current_dir(workspace.root())
            .env(
                format!("CARGO_TARGET_{host}_RUNNER"),
                "valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite",
            )
            // Properties run with all their inputs in the ordinary tests.
            .env("PROPTEST_CASES", "12")
            .args(["test", "--no-fail-fast", "--target-dir"])
            .arg(workspace.target())
            .args(tests);
        cargo
    };
    Ok(FOREIGN.into_iter().map(command).collect())
}
