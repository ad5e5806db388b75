//! What the figures were measured on.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The machine, as far as figures hang on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The CPU's name.
    pub cpu: String,
    /// Cores that this process may run on.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine; what it does not tell is "unknown".
    pub fn this() -> Machine {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu_info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, name)| name);
        Machine {
            cpu: cpu.to_owned(),
            cores: core_affinity::get_core_ids().map_or(0, |cores| cores.len()),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
        }
    }

    /// It and its load averages before and after, in a line.
    pub fn under(&self, load: [Option<f64>; 2]) -> String {
        let [before, after] =
            load.map(|load| load.map_or("?".to_owned(), |load| format!("{load:.1}")));
        format!("{self}; load average {before} before, {after} after")
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} cores, kernel {}",
            self.cpu, self.cores, self.kernel
        )
    }
}

/// The load average over one minute: how many threads wanted a core. Above 1 besides ours, figures
/// are those of a shared machine.
pub fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The commit of the working tree, marked where it has changes.
pub fn commit() -> Option<String> {
    let describe = ["describe", "--always", "--dirty", "--abbrev=12"];
    let output = Command::new("git").args(describe).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let commit = text.trim();
    (output.status.success() && !commit.is_empty()).then(|| commit.to_owned())
}

/// Binds this thread to a core, the last one unless told otherwise, and returns its number.
pub fn pin(wanted: Option<usize>) -> Result<usize> {
    let cores = core_affinity::get_core_ids().context("the cores of this machine are unknown")?;
    let core = match wanted {
        Some(id) => cores.into_iter().find(|core| core.id == id),
        None => cores.into_iter().next_back(),
    };
    let core = core.context("there is no such core, or it is not open to this process")?;
    ensure!(
        core_affinity::set_for_current(core),
        "cannot pin to core {}",
        core.id
    );
    Ok(core.id)
}

/// Time that this thread has had a core, so that whoever shares the core does not count.
pub fn thread_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).context("the thread's clock is before its start")
}
