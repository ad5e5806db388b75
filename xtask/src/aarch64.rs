//! `cargo xtask verify aarch64`: everything compiles for aarch64, the binary links and starts, and the
//! tests of the rooms that carry packets pass, under qemu.

mod compiler;
mod cross;

use anyhow::{Context, Result};

use crate::apt::{self, Apt};
use crate::needs::NEEDS_OF_AARCH64;
use crate::shell;
use crate::workspace::Workspace;
use cross::Cross;

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Rooms whose tests need neither a kernel interface nor another program. Their laws are about
/// arithmetic on octets, memory order and the ciphers, all of which differ between CPUs.
const ROOMS: [&str; 4] = [
    "causeway-steering",
    "causeway-esp",
    "causeway-gateway",
    "causeway-rescale",
];

/// All of it.
pub fn verify(workspace: &Workspace) -> Result<()> {
    install()?;
    let cross = Cross::prepare(workspace)?;

    let mut check = cross.cargo("check");
    check.args(["--workspace", "--all-targets"]);
    shell::run(&mut check).context("it does not compile for aarch64")?;

    let mut build = cross.cargo("build");
    shell::run(build.args(["--package", "causeway"])).context("the binary does not link")?;
    let mut help = cross.start("causeway");
    let said = shell::ask(help.arg("--version"))
        .map_err(anyhow::Error::msg)
        .context("the binary does not start")?;
    println!("under qemu: {}", said.trim());

    let mut test = cross.cargo("test");
    test.args(["--lib", "--tests", "--no-fail-fast"]);
    let rooms = ROOMS.iter().flat_map(|room| ["--package", room]);
    shell::run(test.args(rooms)).context("a test fails on aarch64")?;
    println!(
        "aarch64: everything compiles; causeway starts; the tests of {} pass",
        ROOMS.join(", ")
    );
    Ok(())
}

/// Gets the cross compiler and qemu, having said so.
fn install() -> Result<()> {
    let missing: Vec<_> = NEEDS_OF_AARCH64
        .iter()
        .filter(|need| !need.is_met())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("These are missing and will be installed now:\n");
    for need in &missing {
        println!("missing  {:<21} {}", need.package, need.why);
    }
    println!();
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    Apt::open()
        .with_context(|| apt::by_hand(&packages))?
        .install(&packages)
}
