//! What the end-to-end tests share: a lab with the binary that `cargo xtask build` made.

mod crossing;

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_lab::measure::laws;
use causeway_lab::{Lab, Options, Process, Site};

pub use crossing::{crosses, must_cross, must_not_cross};

/// No wait for a lab's roles is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Labs share the machine's cores: one at a time in a test binary, or they measure each other.
static TURN: Mutex<()> = Mutex::new(());

/// A lab whose turn it is.
pub struct Turn {
    // Dropped in this order: the next lab starts when this one is gone.
    lab: Lab,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Turn {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut Lab {
        &mut self.lab
    }
}

/// Waits for this test's turn and lays a lab out.
///
/// # Errors
/// Where the lab cannot be laid out.
pub fn laid_out(options: Options) -> Result<Turn> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let lab = Lab::new(options)?;
    Ok(Turn { lab, _turn: turn })
}

/// As [`laid_out`], with all roles running.
///
/// # Errors
/// Where a role does not start.
pub fn running(options: Options) -> Result<Turn> {
    let mut lab = laid_out(options)?;
    lab.start_roles()?;
    Ok(lab)
}

/// The lab's defaults over the built binary and kernel program.
///
/// # Errors
/// Where one of them is not built.
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

/// Runs a command on a machine of the lab and returns what it printed.
///
/// # Errors
/// Where it fails.
pub fn output(lab: &Lab, site: Site, program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments);
    let process: Process = lab.spawn(site, program, &command)?;
    process.finish(Duration::from_secs(10))
}

/// Stops all roles and holds their last words to the laws.
///
/// # Errors
/// A law that is broken.
pub fn ends_in_order(lab: &mut Lab) -> Result<()> {
    let finals = lab.stop_roles();
    for fact in [
        laws::clean_end(&finals),
        laws::counters(&finals),
        laws::frames_home(&finals),
    ] {
        ensure!(fact.holds, "{fact:?}");
    }
    Ok(())
}

/// What `causeway local` says at a VPC's demux, and whether it did what it was told.
///
/// # Errors
/// Where it cannot be started.
pub fn local(lab: &Lab, vpc: u8, words: &[&str]) -> Result<(bool, String)> {
    let socket = lab.folder().join(format!("v{vpc}-demux/control.sock"));
    let mut command = Command::new(&lab.options().causeway);
    command.args(["local", "--socket"]).arg(socket).args(words);
    let output = command.output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(said)?))
}

/// Waits until something is so.
///
/// # Errors
/// It does not become so.
pub fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether an XDP program is attached to the NIC of a machine.
///
/// # Errors
/// Where `ip` fails.
pub fn has_xdp(lab: &Lab, site: Site) -> Result<bool> {
    let links = output(lab, site, "ip", &["-details", "link", "show"])?;
    ensure!(links.contains("link/ether"), "`ip link` printed: {links}");
    Ok(links.contains("prog/xdp"))
}
