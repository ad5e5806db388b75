//! `cargo xtask test`: runs every check and every test.
//!
//! The tests wait for the network half of the time. The checks that only compute run beside them, and print afterwards.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context, Result};
use causeway_lab::output::{print, print_line};

use crate::build::Built;
use crate::memory;
use crate::shell;
use crate::unsafety;
use crate::workspace::Workspace;

/// The result of one check.
struct Outcome {
    name: &'static str,
    result: Result<()>,
    took: Duration,
}

impl Outcome {
    fn of(name: &'static str, run: impl FnOnce() -> Result<()>) -> Self {
        let start = Instant::now();
        let result = run();
        Self {
            name,
            result,
            took: start.elapsed(),
        }
    }
}

#[derive(Default)]
struct Outcomes(Vec<Outcome>);

impl Outcomes {
    /// Runs a check, after its name.
    fn check(&mut self, name: &'static str, run: impl FnOnce() -> Result<()>) -> Result<()> {
        print_line(format_args!("\n== {name}"))?;
        self.add(Outcome::of(name, run))
    }

    fn add(&mut self, outcome: Outcome) -> Result<()> {
        if let Err(error) = &outcome.result {
            print_line(format_args!("{error:#}"))?;
        }
        self.0.push(outcome);
        Ok(())
    }
}

/// Runs every check, also after a failed one, and prints a summary. Returns whether all passed.
///
/// # Errors
/// The output cannot be written.
pub fn everything(workspace: &Workspace, built: &Built) -> Result<bool> {
    let mut outcomes = Outcomes::default();
    outcomes.check("places of unsafe", || unsafety::check(workspace))?;
    outcomes.check("format", || {
        shell::run(cargo(workspace, "fmt").args(["--all", "--check"]))
    })?;
    outcomes.check("format of the XDP program", || {
        shell::run(on_program(cargo(workspace, "fmt"), workspace).arg("--check"))
    })?;
    outcomes.check("build of the tests", || {
        shell::run(tests(workspace, built).arg("--no-run"))
    })?;

    let (running, tests_run) = mpsc::channel();
    thread::scope(|scope| {
        let beside = scope.spawn(move || {
            // Until then the tests' cargo needs the lock of the target directory. If it fails, the channel is closed.
            let _ = tests_run.recv();
            beside(workspace)
        });
        outcomes.check("tests", move || {
            run_tests(&mut tests(workspace, built), &running)
        })?;
        let beside = beside.join();
        for (outcome, text) in beside.unwrap_or_else(|panic| std::panic::resume_unwind(panic))? {
            print(format_args!("\n== {}\n{text}", outcome.name))?;
            outcomes.add(outcome)?;
        }
        anyhow::Ok(())
    })?;

    print(summary(&outcomes.0))?;
    Ok(outcomes.0.iter().all(|outcome| outcome.result.is_ok()))
}

/// The checks that run beside the tests, with what they printed.
fn beside(workspace: &Workspace) -> Result<Vec<(Outcome, String)>> {
    let mut clippy = building(cargo(workspace, "clippy"), workspace.target());
    clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]);
    // Clippy of the stable toolchain has no core for BPF, so it checks the program as one for the host.
    let program = building(cargo(workspace, "clippy"), workspace.ebpf_target());
    let mut program = on_program(program, workspace);
    program.args(["--", "-D", "warnings"]);
    let mut doc = building(cargo(workspace, "doc"), workspace.target());
    doc.env("RUSTDOCFLAGS", "-D warnings");
    doc.args(["--workspace", "--no-deps"]);
    let checks = [
        ("clippy", vec![clippy]),
        ("clippy of the XDP program", vec![program]),
        ("documentation", vec![doc]),
        (
            "memory of the foreign code (valgrind)",
            memory::under_valgrind(workspace)?,
        ),
    ];
    let run = |(name, commands): (_, Vec<Command>)| {
        let mut printed = tempfile::tempfile().context("cannot make a temporary file")?;
        let outcome = Outcome::of(name, || run_into(commands, &printed));
        let mut text = Vec::new();
        printed.rewind()?;
        printed.read_to_end(&mut text)?;
        Ok((outcome, String::from_utf8_lossy(&text).into_owned()))
    };
    checks.into_iter().map(run).collect()
}

/// Runs commands until one fails, with their output in a file.
fn run_into(commands: Vec<Command>, mut output: &File) -> Result<()> {
    for mut command in commands {
        writeln!(output, "$ {}", shell::display(&command))?;
        command
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        shell::succeed(&mut command)?;
    }
    Ok(())
}

fn tests(workspace: &Workspace, built: &Built) -> Command {
    let mut test = building(cargo(workspace, "test"), workspace.target());
    test.env("CAUSEWAY_XDP_OBJECT", &built.xdp_object);
    test.args(["--workspace", "--no-fail-fast"]);
    test
}

/// Runs the tests, and reports that the first of them runs.
fn run_tests(test: &mut Command, running: &Sender<()>) -> Result<()> {
    print_line(format_args!("$ {}", shell::display(test)))?;
    let mut child = test.stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().context("no standard error")?;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if line.trim_start().starts_with("Running ") {
            // The receiver waits for the first report only.
            let _ = running.send(());
        }
        writeln!(io::stderr(), "{line}")?;
    }
    shell::success(test, child.wait()?)
}

fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut cargo = shell::cargo();
    cargo.current_dir(workspace.root()).arg(subcommand);
    cargo
}

fn building(mut cargo: Command, target: PathBuf) -> Command {
    cargo.arg("--target-dir").arg(target);
    cargo
}

fn on_program(mut cargo: Command, workspace: &Workspace) -> Command {
    cargo.arg("--manifest-path").arg(workspace.ebpf_manifest());
    cargo
}

fn summary(outcomes: &[Outcome]) -> String {
    let mut text = String::from("\n");
    for Outcome { name, result, took } in outcomes {
        let verdict = if result.is_ok() { "ok    " } else { "FAILED" };
        text.push_str(&format!(
            "{verdict}  {name} ({:.1} s)\n",
            took.as_secs_f64()
        ));
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .count();
    text.push_str(&match failed {
        0 => String::from("all checks passed\n"),
        _ => format!("{failed} of {} checks failed\n", outcomes.len()),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &'static str, result: Result<()>) -> Outcome {
        Outcome {
            name,
            result,
            took: Duration::from_millis(1500),
        }
    }

    #[test]
    fn the_summary_lists_failed_checks() {
        let text = summary(&[
            outcome("format", Ok(())),
            outcome("clippy", Err(anyhow::anyhow!("no"))),
        ]);
        assert!(text.contains("ok      format (1.5 s)"), "{text}");
        assert!(text.contains("FAILED  clippy"), "{text}");
        assert!(text.ends_with("1 of 2 checks failed\n"), "{text}");
    }

    #[test]
    fn the_summary_confirms_success() {
        assert!(summary(&[outcome("format", Ok(()))]).ends_with("all checks passed\n"));
    }
}
