//! Helpers of the end-to-end tests: labs that run the binary of `cargo xtask build`.

mod crossing;

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_lab::measure::invariants;
use causeway_lab::{Lab, Options, Process, Site};

pub use crossing::{must_cross, must_not_cross, run_probe};

/// Time limit of [`wait_until`].
const TIMEOUT: Duration = Duration::from_secs(60);

/// Only one lab of a test binary runs at a time, because labs on the same cores would disturb each other.
static ONE_LAB: Mutex<()> = Mutex::new(());

/// The only running lab of this test binary.
pub struct ExclusiveLab {
    // Fields are dropped in this order, so that the next lab starts after the removal of this one.
    lab: Lab,
    _only: MutexGuard<'static, ()>,
}

impl Deref for ExclusiveLab {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl DerefMut for ExclusiveLab {
    fn deref_mut(&mut self) -> &mut Lab {
        &mut self.lab
    }
}

/// Waits until no other lab runs, then builds a lab without running roles.
///
/// # Errors
/// The lab cannot be built.
pub fn build_lab(options: Options) -> Result<ExclusiveLab> {
    let only = ONE_LAB.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Lab::new(options)?;
    Ok(ExclusiveLab { lab, _only: only })
}

/// Builds a lab and starts all roles.
///
/// # Errors
/// The lab cannot be built, or a role does not start.
pub fn start_lab(options: Options) -> Result<ExclusiveLab> {
    let mut lab = build_lab(options)?;
    lab.start_roles()?;
    Ok(lab)
}

/// The default options, with the built binary and kernel program.
///
/// # Errors
/// One of them is not built.
pub fn options() -> Result<Options> {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let built = |file: &str| {
        let path = target.join(file);
        path.canonicalize()
            .with_context(|| format!("no {}: build it with `cargo xtask build`", path.display()))
    };
    Ok(Options::new(
        built("release/causeway")?,
        built("causeway-xdp.o")?,
    ))
}

/// The default options with another number of gateways on each side.
///
/// # Errors
/// As [`options`].
pub fn with_gateways(gateways: u8) -> Result<Options> {
    Ok(Options {
        gateways,
        ..options()?
    })
}

/// Runs a command on a machine of the lab and returns its output.
///
/// # Errors
/// The command fails.
pub fn output(lab: &Lab, site: Site, program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments);
    let process: Process = lab.spawn(site, program, &command)?;
    process.wait_for_output(Duration::from_secs(60))
}

/// Stops all roles and checks the invariants of their final status.
///
/// # Errors
/// A role does not stop cleanly, or an invariant is violated.
pub fn stop_cleanly(lab: &mut Lab) -> Result<()> {
    let exits = lab.stop_roles();
    for fact in [
        invariants::clean_end(&exits),
        invariants::counters(&exits),
        invariants::frames_home(&exits),
    ] {
        ensure!(fact.holds, "{fact:?}");
    }
    Ok(())
}

/// Runs `causeway local` for a VPC's demux. Returns whether it succeeded, and its output.
///
/// # Errors
/// The command cannot be started.
pub fn local(lab: &Lab, vpc: u8, arguments: &[&str]) -> Result<(bool, String)> {
    let socket = lab.folder().join(format!("v{vpc}-demux/control.sock"));
    let mut command = Command::new(&lab.options().causeway);
    command
        .args(["local", "--socket"])
        .arg(socket)
        .args(arguments);
    let output = command.output()?;
    let printed = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(printed)?))
}

/// Polls a condition until it is true.
///
/// # Errors
/// The condition is not true within the time limit.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !condition()? {
        ensure!(Instant::now() < deadline, "not within {TIMEOUT:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether an XDP program is attached to the NIC of a machine.
///
/// # Errors
/// `ip` fails.
pub fn has_xdp(lab: &Lab, site: Site) -> Result<bool> {
    let links = output(lab, site, "ip", &["-details", "link", "show"])?;
    ensure!(links.contains("link/ether"), "`ip link` printed: {links}");
    Ok(links.contains("prog/xdp"))
}
