//! The time of a core and of a process, from the kernel's accounting.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// Times of one core since boot, in the kernel's ticks.
#[derive(Clone, Copy)]
pub struct Core([u64; 8]);

/// The parts of a core's time, in percent.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Share {
    /// User space.
    pub user: f64,
    /// System calls, interrupts and softirqs.
    pub kernel: f64,
    /// Idle.
    pub idle: f64,
    /// Taken by the hypervisor.
    pub steal: f64,
}

impl Core {
    pub fn read(core: usize) -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        parse(&text, core).with_context(|| format!("/proc/stat has no cpu{core}"))
    }

    /// The parts of the time since `before`.
    pub fn since(self, before: Self) -> Share {
        let spent = |field: usize| (self.0[field] - before.0[field]) as f64;
        let all: f64 = (0..8).map(spent).sum();
        let part = |fields: &[usize]| {
            let spent: f64 = fields.iter().map(|&field| spent(field)).sum();
            100.0 * spent / all.max(1.0)
        };
        Share {
            user: part(&[0, 1]),
            kernel: part(&[2, 5, 6]),
            idle: part(&[3, 4]),
            steal: part(&[7]),
        }
    }
}

fn parse(stat: &str, core: usize) -> Option<Core> {
    let name = format!("cpu{core}");
    let line = stat
        .lines()
        .find_map(|line| line.strip_prefix(&name)?.strip_prefix(' '))?;
    let mut times = [0; 8];
    let mut words = line.split_whitespace();
    for time in &mut times {
        *time = words.next()?.parse().ok()?;
    }
    Some(Core(times))
}

/// The CPU time of all threads of a process.
pub fn used(process: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = task?.path().join("schedstat");
        let text = fs::read_to_string(&path)?;
        let ran = text
            .split(' ')
            .next()
            .and_then(|word| word.parse::<u64>().ok());
        nanoseconds += ran.with_context(|| {
            format!(
                "{} does not begin with a time in nanoseconds",
                path.display()
            )
        })?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_the_elapsed_time() {
        let stat = |user, idle| {
            let text = format!("cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 {user} 0 5 {idle} 0 0 5 0 0 0\n");
            parse(&text, 1).unwrap()
        };
        let share = stat(30, 30).since(stat(20, 0));
        assert_eq!((share.user, share.kernel, share.idle), (25.0, 0.0, 75.0));
        assert!(parse("cpu1 1 2\n", 1).is_none());
    }
}
