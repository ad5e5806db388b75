//! The machine of a measurement, its load, and the clock of a pinned thread.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The properties of the machine on which figures depend.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Machine {
    /// The model name of the CPU.
    pub cpu: String,
    /// Cores that this process may run on.
    pub cores: usize,
    /// The kernel release.
    pub kernel: String,
}

impl Machine {
    /// This machine. Properties that it does not report are "unknown".
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

    /// One line with the machine and the load averages before and after.
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

/// The load average over one minute: the number of threads that ran or waited for a core. Above 1, apart from the
/// harness itself, other processes shared the machine.
pub fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The commit of the working tree, with `-dirty` if there are uncommitted changes.
pub fn commit() -> Option<String> {
    let describe = ["describe", "--always", "--dirty", "--abbrev=12"];
    let output = Command::new("git").args(describe).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let commit = text.trim();
    (output.status.success() && !commit.is_empty()).then(|| commit.to_owned())
}

/// Pins this thread to the `wanted` core or the last one, and returns its number.
pub fn pin(wanted: Option<usize>) -> Result<usize> {
    let cores = core_affinity::get_core_ids().context("cannot list the cores of this machine")?;
    let core = match wanted {
        Some(id) => cores.into_iter().find(|core| core.id == id),
        None => cores.into_iter().next_back(),
    };
    let core = core.context("the core does not exist, or this process may not use it")?;
    ensure!(
        core_affinity::set_for_current(core),
        "cannot pin to core {}",
        core.id
    );
    Ok(core.id)
}

/// CPU time of this thread. Time of other threads on the same core does not count.
pub fn thread_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).context("the thread's clock is before its start")
}
