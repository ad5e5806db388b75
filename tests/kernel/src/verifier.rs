//! What the kernel's verifier says of the XDP program, held against its limits.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use causeway_demux::Program;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

/// Octets of stack that a chain of calls may have in the kernel: MAX_BPF_STACK.
pub const STACK_LIMIT: u32 = 512;
/// What this program may use of each limit, in percent. The rest is for kernels that count otherwise,
/// and for what is to come.
pub const MOST_PERCENT: u32 = 75;
/// Octets of an instruction.
const INSTRUCTION: u32 = 8;

/// What the program is to the kernel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The kernel's release.
    pub kernel: String,
    /// Instructions as the kernel runs them, after its own changes.
    pub instructions: u32,
    /// Octets of machine code.
    pub compiled_bytes: u32,
    /// What the verifier counted.
    #[serde(flatten)]
    pub verifier: Statistics,
}

/// The verifier's own counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Instructions that it walked, over all ways through the program.
    pub processed: u32,
    /// How many it walks before it refuses a program.
    pub processed_limit: u32,
    /// States of registers and stack that it kept, at the most at one instruction.
    pub states_per_instruction: u32,
    /// In all.
    pub states_total: u32,
    /// At once.
    pub states_peak: u32,
    /// Octets of stack: of the program, then of each function that it calls.
    pub stack: Vec<u32>,
    /// How long it took, in microseconds.
    pub microseconds: u64,
}

impl Statistics {
    /// Octets of stack if all functions were on one chain of calls: more than any chain has.
    pub fn stack_at_most(&self) -> u32 {
        self.stack.iter().sum()
    }
}

impl Report {
    /// What is nearer to its limit than it may be.
    pub fn beyond(&self) -> Option<String> {
        let verifier = &self.verifier;
        let uses = [
            (
                "instructions walked",
                verifier.processed,
                verifier.processed_limit,
            ),
            ("octets of stack", verifier.stack_at_most(), STACK_LIMIT),
        ];
        let beyond = |(_, used, limit): &(&str, u32, u32)| {
            u64::from(*used) * 100 > u64::from(*limit) * u64::from(MOST_PERCENT)
        };
        uses.into_iter().find(beyond).map(|(what, used, limit)| {
            format!("{used} {what} are more than {MOST_PERCENT} % of the limit, {limit}")
        })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verifier = &self.verifier;
        let percent = |used: u32, limit: u32| f64::from(used) * 100.0 / f64::from(limit);
        let stack: Vec<String> = verifier.stack.iter().map(u32::to_string).collect();
        writeln!(f, "XDP program on kernel {}", self.kernel)?;
        writeln!(
            f,
            "  instructions  {}, compiled to {} octets",
            self.instructions, self.compiled_bytes
        )?;
        writeln!(
            f,
            "  walked        {} of {} ({:.1} %), in {} ms",
            verifier.processed,
            verifier.processed_limit,
            percent(verifier.processed, verifier.processed_limit),
            verifier.microseconds / 1000
        )?;
        writeln!(
            f,
            "  states        {} at one instruction, {} in all, {} at once",
            verifier.states_per_instruction, verifier.states_total, verifier.states_peak
        )?;
        write!(
            f,
            "  stack         {} octets of {STACK_LIMIT} ({:.1} %)",
            stack.join(" + "),
            percent(verifier.stack_at_most(), STACK_LIMIT)
        )
    }
}

/// Loads an object twice: to hear the verifier, and to ask what the kernel made of it.
///
/// # Errors
/// The kernel refuses the program, or says nothing that can be read.
pub fn report(object: &[u8]) -> Result<Report> {
    let log = log(object)?;
    let verifier = statistics(&log).with_context(|| format!("the verifier said: {log:?}"))?;
    let info = Program::load(object)?.xdp()?.info()?;
    let translated = info
        .size_translated()
        .context("the kernel hides its instructions")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(Report {
        kernel: kernel.trim().to_owned(),
        instructions: translated / INSTRUCTION,
        compiled_bytes: info.size_jitted(),
        verifier,
    })
}

/// The verifier's statistics, as it writes them.
///
/// aya hands its log out only when a load fails. So this load fails at its last step, when the program is
/// verified and compiled and only its file descriptor is wanted: the process may not have another one.
fn log(object: &[u8]) -> Result<String> {
    let mut ebpf: Ebpf = EbpfLoader::new()
        .verifier_log_level(VerifierLogLevel::STATS)
        .load(object)?;
    let program = ebpf
        .program_mut("causeway")
        .context("no program in the object")?;
    let program: &mut Xdp = program.try_into()?;
    let allowed = getrlimit(Resource::Nofile);
    let next = File::open("/dev/null")?.as_raw_fd();
    let none_more = Rlimit {
        current: Some(next.try_into()?),
        ..allowed
    };
    setrlimit(Resource::Nofile, none_more)?;
    let loaded = program.load();
    setrlimit(Resource::Nofile, allowed)?;
    match loaded {
        Err(ProgramError::LoadError { verifier_log, .. }) => Ok(verifier_log.to_string()),
        Err(error) => Err(error.into()),
        Ok(()) => bail!("loaded without a file descriptor: another thread closed one meanwhile"),
    }
}

fn statistics(log: &str) -> Option<Statistics> {
    let after = |words: &str| -> Option<&str> {
        let (_, rest) = log.split_once(words)?;
        rest.split([' ', ')', '\n']).next()
    };
    let number = |words: &str| after(words)?.parse().ok();
    Some(Statistics {
        processed: number("processed ")?,
        processed_limit: number("(limit ")?,
        states_per_instruction: number("max_states_per_insn ")?,
        states_total: number("total_states ")?,
        states_peak: number("peak_states ")?,
        stack: after("stack depth ")?
            .split('+')
            .map(|depth| depth.parse().ok())
            .collect::<Option<_>>()?,
        microseconds: after("verification time ")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "verification time 81234 usec\nstack depth 144+32+0\n\
        processed 264123 insns (limit 1000000) max_states_per_insn 24 total_states 9876 peak_states 543 mark_read 12\n";

    #[test]
    fn the_counts_are_read_as_the_kernel_writes_them() {
        let expected = Statistics {
            processed: 264_123,
            processed_limit: 1_000_000,
            states_per_instruction: 24,
            states_total: 9_876,
            states_peak: 543,
            stack: vec![144, 32, 0],
            microseconds: 81_234,
        };
        assert_eq!(expected.stack_at_most(), 176);
        assert_eq!(statistics(LOG), Some(expected));
        for missing in [
            "processed ",
            "stack depth ",
            "peak_states ",
            "verification time ",
        ] {
            assert_eq!(statistics(&LOG.replace(missing, "")), None, "{missing}");
        }
    }
}
