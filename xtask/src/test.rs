//! `cargo xtask test`: every check there is, the privileged ones too.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::build::Built;
use crate::memory;
use crate::shell;
use crate::unsafety;
use crate::workspace::Workspace;

/// How one check went.
struct Outcome {
    name: &'static str,
    result: Result<()>,
    took: Duration,
}

/// Runs every check, whatever the ones before it said, and tells how each went.
pub fn everything(workspace: &Workspace, built: &Built) -> bool {
    let mut outcomes = Vec::new();
    let mut check = |name, run: &mut dyn FnMut() -> Result<()>| {
        println!("\n== {name}");
        let start = Instant::now();
        let result = run();
        if let Err(error) = &result {
            println!("{error:#}");
        }
        outcomes.push(Outcome {
            name,
            result,
            took: start.elapsed(),
        });
    };

    check("unsafe stands only where it may", &mut || {
        unsafety::check(workspace)
    });
    check("format", &mut || {
        shell::run(cargo(workspace, "fmt").args(["--all", "--check"]))
    });
    check("format of the XDP program", &mut || {
        shell::run(on_program(cargo(workspace, "fmt"), workspace).arg("--check"))
    });
    check("clippy", &mut || {
        let mut clippy = building(cargo(workspace, "clippy"), workspace.target());
        shell::run(clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    // Clippy of the stable toolchain has no core for BPF, so it reads the program as if it
    // were for the host; the build above has compiled it for BPF.
    check("clippy of the XDP program", &mut || {
        let clippy = building(cargo(workspace, "clippy"), workspace.ebpf_target());
        shell::run(on_program(clippy, workspace).args(["--", "-D", "warnings"]))
    });
    check("documentation", &mut || {
        let mut doc = building(cargo(workspace, "doc"), workspace.target());
        doc.env("RUSTDOCFLAGS", "-D warnings");
        shell::run(doc.args(["--workspace", "--no-deps"]))
    });
    check("tests", &mut || {
        let mut test = building(cargo(workspace, "test"), workspace.target());
        test.env("CAUSEWAY_XDP_OBJECT", &built.xdp_object);
        shell::run(test.args(["--workspace", "--no-fail-fast"]))
    });
    check("memory of the foreign code (valgrind)", &mut || {
        memory::under_valgrind(workspace)
    });

    print!("{}", summary(&outcomes));
    outcomes.iter().all(|outcome| outcome.result.is_ok())
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
        0 => String::from("every check holds\n"),
        _ => format!("{failed} of {} checks do not hold\n", outcomes.len()),
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
    fn the_summary_names_what_failed() {
        let text = summary(&[
            outcome("format", Ok(())),
            outcome("clippy", Err(anyhow::anyhow!("no"))),
        ]);
        assert!(text.contains("ok      format (1.5 s)"), "{text}");
        assert!(text.contains("FAILED  clippy"), "{text}");
        assert!(text.ends_with("1 of 2 checks do not hold\n"), "{text}");
    }

    #[test]
    fn the_summary_says_so_when_all_is_well() {
        assert!(summary(&[outcome("format", Ok(()))]).ends_with("every check holds\n"));
    }
}
