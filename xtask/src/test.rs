//! `cargo xtask test`: runs every check and every test.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
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

/// Runs every check, also after a failed one, and prints a summary. Returns whether all passed.
///
/// # Errors
/// The output cannot be written.
pub fn everything(workspace: &Workspace, built: &Built) -> Result<bool> {
    let mut outcomes = Vec::new();
    let mut check = |name, run: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        print_line(format_args!("\n== {name}"))?;
        let start = Instant::now();
        let result = run();
        if let Err(error) = &result {
            print_line(format_args!("{error:#}"))?;
        }
        outcomes.push(Outcome {
            name,
            result,
            took: start.elapsed(),
        });
        Ok(())
    };

    check("places of unsafe", &mut || unsafety::check(workspace))?;
    check("format", &mut || {
        shell::run(cargo(workspace, "fmt").args(["--all", "--check"]))
    })?;
    check("format of the XDP program", &mut || {
        shell::run(on_program(cargo(workspace, "fmt"), workspace).arg("--check"))
    })?;
    check("clippy", &mut || {
        let mut clippy = building(cargo(workspace, "clippy"), workspace.target());
        shell::run(clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    // Clippy of the stable toolchain has no core for BPF, so it checks the program as one for the host.
    check("clippy of the XDP program", &mut || {
        let clippy = building(cargo(workspace, "clippy"), workspace.ebpf_target());
        shell::run(on_program(clippy, workspace).args(["--", "-D", "warnings"]))
    })?;
    check("documentation", &mut || {
        let mut doc = building(cargo(workspace, "doc"), workspace.target());
        doc.env("RUSTDOCFLAGS", "-D warnings");
        shell::run(doc.args(["--workspace", "--no-deps"]))
    })?;
    check("tests", &mut || {
        let mut test = building(cargo(workspace, "test"), workspace.target());
        test.env("CAUSEWAY_XDP_OBJECT", &built.xdp_object);
        shell::run(test.args(["--workspace", "--no-fail-fast"]))
    })?;
    check("memory of the foreign code (valgrind)", &mut || {
        memory::under_valgrind(workspace)
    })?;

    print(summary(&outcomes))?;
    Ok(outcomes.iter().all(|outcome| outcome.result.is_ok()))
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
