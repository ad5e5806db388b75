//! The use of the machine's CPU time, by kind of process and by interrupt work of the kernel.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// Clock ticks since the machine started.
#[derive(Clone, Debug, Default)]
pub struct CpuTime {
    machine: Machine,
    /// Processes by process id.
    processes: BTreeMap<u32, Process>,
}

/// The first line of `/proc/stat`: all cores together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Machine {
    user: u64,
    system: u64,
    idle: u64,
    interrupts: u64,
    softirq: u64,
    stolen: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Process {
    name: String,
    user: u64,
    system: u64,
}

impl CpuTime {
    /// Reads the CPU time of the machine and of each process.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn read() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let machine = Machine::parse(&stat).context("/proc/stat has no line for all cores")?;
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir("/proc").context("cannot list /proc")? {
            let pid = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(pid) = pid else { continue };
            // The file is missing if the process has just ended.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if let Some(mut process) = Process::parse(&stat) {
                process.name = group(pid, &process.name);
                processes.insert(pid, process);
            }
        }
        Ok(Self { machine, processes })
    }

    /// Shares of the machine's time since `earlier`, which add up to 1.
    ///
    /// They are `user` and `system` of each kind of process (`gateways`, `demuxes`, `iperf3`, `generator`, `others`), then
    /// `softirq`, `interrupts`, `stolen` and `idle`. The kernel counts a softirq as system time of the interrupted process;
    /// here it is subtracted from all processes in proportion. Shares of zero are left out.
    pub fn shares_since(&self, earlier: &Self) -> BTreeMap<String, f64> {
        let mut used: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (pid, now) in &self.processes {
            let before = earlier.processes.get(pid);
            let (user, system) = before.map_or((0, 0), |then| (then.user, then.system));
            let sum = used.entry(&now.name).or_default();
            sum.0 += now.user.saturating_sub(user);
            sum.1 += now.system.saturating_sub(system);
        }
        let machine = self.machine.since(earlier.machine);
        let all = machine.all().max(1) as f64;
        let users = used.values().map(|(user, _)| user).sum::<u64>().max(1) as f64;
        let systems = used.values().map(|(_, system)| system).sum::<u64>().max(1) as f64;
        let mut parts = BTreeMap::new();
        for (name, (user, system)) in used {
            let user = user as f64 / users * machine.user as f64;
            let system = system as f64 / systems * machine.system as f64;
            parts.insert(format!("{name} user"), user / all);
            parts.insert(format!("{name} system"), system / all);
        }
        for (name, ticks) in [
            ("softirq", machine.softirq),
            ("interrupts", machine.interrupts),
            ("stolen", machine.stolen),
            ("idle", machine.idle),
        ] {
            parts.insert(name.to_owned(), ticks as f64 / all);
        }
        parts.retain(|_, part| *part > 0.0);
        parts
    }
}

/// The kind of a process.
fn group(pid: u32, name: &str) -> String {
    let kind = match name {
        _ if pid == std::process::id() => "generator",
        "iperf3" => "iperf3",
        "causeway" => {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            match line.split(|byte| *byte == 0).nth(1) {
                Some(b"demux") => "demuxes",
                _ => "gateways",
            }
        }
        _ => "others",
    };
    kind.to_owned()
}

impl Machine {
    fn parse(stat: &str) -> Option<Self> {
        let mut ticks = stat
            .strip_prefix("cpu ")?
            .lines()
            .next()?
            .split_whitespace();
        let mut next = || ticks.next()?.parse::<u64>().ok();
        let (user, nice, system) = (next()?, next()?, next()?);
        let (idle, waiting) = (next()?, next()?);
        let (interrupts, softirq, stolen) = (next()?, next()?, next()?);
        Some(Self {
            user: user + nice,
            system,
            idle: idle + waiting,
            interrupts,
            softirq,
            stolen,
        })
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            idle: self.idle.saturating_sub(earlier.idle),
            interrupts: self.interrupts.saturating_sub(earlier.interrupts),
            softirq: self.softirq.saturating_sub(earlier.softirq),
            stolen: self.stolen.saturating_sub(earlier.stolen),
        }
    }

    fn all(self) -> u64 {
        self.user + self.system + self.idle + self.interrupts + self.softirq + self.stolen
    }
}

impl Process {
    /// The name is in parentheses and may contain any character, also parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let (start, end) = (stat.find('(')?, stat.rfind(')')?);
        let mut fields = stat.get(end + 1..)?.split_whitespace().skip(11);
        Some(Self {
            name: stat.get(start + 1..end)?.to_owned(),
            user: fields.next()?.parse().ok()?,
            system: fields.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_parsed() {
        let machine = Machine::parse("cpu  10 1 20 100 5 3 7 2 0 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!(machine.all(), 148);
        assert_eq!((machine.user, machine.idle, machine.softirq), (11, 105, 7));
        assert_eq!(Machine::parse("intr 1 2"), None);
        let process = Process::parse("7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 42 17 0 0 20").unwrap();
        assert_eq!((process.user, process.system), (42, 17));
        assert_eq!(process.name, "a) b (c");
    }

    #[test]
    fn shares_are_of_the_whole_machine_and_add_up_to_one() {
        let process = |name: &str, user, system| Process {
            name: name.to_owned(),
            user,
            system,
        };
        let machine = Machine {
            user: 100,
            system: 60,
            idle: 20,
            interrupts: 0,
            softirq: 20,
            stolen: 0,
        };
        let now = CpuTime {
            machine,
            processes: [
                (1, process("gateways", 60, 50)),
                (2, process("gateways", 30, 10)),
                (3, process("iperf3", 10, 20)),
            ]
            .into(),
        };
        let parts = now.shares_since(&CpuTime::default());
        assert!(
            (parts.values().sum::<f64>() - 1.0).abs() < 1e-9,
            "{parts:?}"
        );
        assert_eq!(
            (parts["gateways user"], parts["gateways system"]),
            (0.45, 0.225)
        );
        assert_eq!((parts["softirq"], parts.get("stolen")), (0.1, None));
    }
}
