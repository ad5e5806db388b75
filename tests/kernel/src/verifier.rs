//! The kernel verifier's statistics on the XDP program, compared with the verifier's limits.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use causeway_demux::Program;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

/// The most octets of stack of a call chain in the kernel: MAX_BPF_STACK.
pub const STACK_LIMIT: u32 = 512;
/// The most that this program may use of each limit, in percent. The rest is for kernels that count
/// differently, and for later changes of the program.
pub const MOST_PERCENT: u32 = 75;
/// Octets of an instruction.
const INSTRUCTION: u32 = 8;

/// The kernel's information on the loaded program.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// The kernel's release.
    pub kernel: String,
    /// Instructions of the program, after the kernel's changes.
    pub instructions: u32,
    /// Size of the machine code, in octets.
    pub compiled_bytes: u32,
    #[serde(flatten)]
    pub verifier: Statistics,
}

/// The verifier's statistics.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Statistics {
    /// Instructions examined, over all paths through the program.
    pub processed: u32,
    /// The limit of `processed`, above which the verifier refuses a program.
    pub processed_limit: u32,
    /// The most states of registers and stack that were kept at one instruction.
    pub states_per_instruction: u32,
    /// All states of registers and stack.
    pub states_total: u32,
    /// The most states that were kept at one time.
    pub states_peak: u32,
    /// Stack of the program, then of each function that it calls, in octets.
    pub stack: Vec<u32>,
    /// Duration of the verification, in microseconds.
    pub microseconds: u64,
}

impl Statistics {
    /// An upper bound of the octets of stack: as if all functions were in one call chain.
    pub fn stack_at_most(&self) -> u32 {
        self.stack.iter().sum()
    }
}

impl Report {
    /// A message on the first value that exceeds [`MOST_PERCENT`] of its limit, if there is one.
    pub fn over_limit(&self) -> Option<String> {
        let verifier = &self.verifier;
        let uses = [
            (
                "instructions walked",
                verifier.processed,
                verifier.processed_limit,
            ),
            ("octets of stack", verifier.stack_at_most(), STACK_LIMIT),
        ];
        let over_limit = |(_, used, limit): &(&str, u32, u32)| {
            u64::from(*used) * 100 > u64::from(*limit) * u64::from(MOST_PERCENT)
        };
        uses.into_iter()
            .find(over_limit)
            .map(|(what, used, limit)| {
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

/// Loads an object twice: for the verifier's log, and for the kernel's information on the program.
///
/// # Errors
/// If the kernel refuses the program, or its log cannot be parsed.
pub fn report(object: &[u8]) -> Result<Report> {
    let log = log(object)?;
    let verifier =
        statistics(&log).with_context(|| format!("cannot parse the verifier's log: {log:?}"))?;
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

/// The verifier's log.
///
/// aya returns the log only if a load fails. So this load fails at its last step: the program is verified
/// and compiled, but the process may not open another file descriptor.
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
        Ok(()) => bail!(
            "the load succeeded, but had to fail: another thread closed a file descriptor meanwhile"
        ),
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
    use causeway_json_docs::{check, written};

    use super::*;

    const LOG: &str = "verification time 81234 usec\nstack depth 144+32+0\n\
        processed 264123 insns (limit 1000000) max_states_per_insn 24 total_states 9876 peak_states 543 mark_read 12\n";

    #[test]
    fn the_page_has_the_keys_of_the_report() {
        check("docs/proof.md", &[("verifier", written::<Report>())], &[]);
    }

    #[test]
    fn the_statistics_are_parsed_from_the_kernels_log() {
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
