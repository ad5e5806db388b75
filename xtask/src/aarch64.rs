//! `cargo xtask verify aarch64`: compiles everything for aarch64, then starts the binary and runs the tests of the data
//! path under qemu.

mod compiler;
mod cross;

use anyhow::{Context, Result};
use causeway_lab::output::print_line;

use crate::apt::{self, Apt};
use crate::dependencies::AARCH64_DEPENDENCIES;
use crate::shell;
use crate::workspace::Workspace;
use cross::Cross;

/// Crates whose tests need no kernel interface and no other program. They test byte arithmetic, memory order and ciphers,
/// which depend on the CPU.
const CRATES: [&str; 4] = [
    "causeway-steering",
    "causeway-esp",
    "causeway-gateway",
    "causeway-rescale",
];

pub fn verify(workspace: &Workspace) -> Result<()> {
    install()?;
    let cross = Cross::prepare(workspace)?;

    let mut check = cross.cargo("check");
    check.args(["--workspace", "--all-targets"]);
    shell::run(&mut check).context("the workspace does not compile for aarch64")?;

    let mut build = cross.cargo("build");
    shell::run(build.args(["--package", "causeway"]))
        .context("the aarch64 binary does not link")?;
    let mut help = cross.start("causeway");
    let version = shell::capture(help.arg("--version"))
        .map_err(anyhow::Error::msg)
        .context("the aarch64 binary does not start under qemu")?;
    print_line(format_args!("under qemu: {}", version.trim()))?;

    let mut test = cross.cargo("test");
    test.args(["--lib", "--tests", "--no-fail-fast"]);
    let crates = CRATES.iter().flat_map(|name| ["--package", name]);
    shell::run(test.args(crates)).context("a test fails on aarch64")?;
    print_line(format_args!(
        "aarch64: everything compiles; causeway starts; the tests of {} pass",
        CRATES.join(", ")
    ))?;
    Ok(())
}

/// Installs a missing cross compiler or qemu, after a list of the packages.
fn install() -> Result<()> {
    let missing: Vec<_> = AARCH64_DEPENDENCIES
        .iter()
        .filter(|dependency| !dependency.is_present())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    print_line("Missing dependencies, which will be installed now:\n")?;
    for dependency in &missing {
        print_line(format_args!(
            "missing  {:<21} {}",
            dependency.package, dependency.why
        ))?;
    }
    print_line("")?;
    let packages: Vec<_> = missing
        .iter()
        .map(|dependency| dependency.package)
        .collect();
    Apt::open()
        .with_context(|| apt::install_command(&packages))?
        .install(&packages)
}
