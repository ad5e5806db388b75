//! `cargo xtask fuzz`: the targets of tests/fuzz under libFuzzer, guided by coverage.
//!
//! libFuzzer is LLVM's; what it needs of the compiler is a pass of LLVM's own, which the stable
//! compiler has. So no nightly and no sanitizer: what breaks here is a law, a bound or an overflow,
//! and Rust checks those itself.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// The coverage that libFuzzer reads, and Rust's own checks in a release build.
const RUSTFLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// What a person chooses.
#[derive(clap::Args)]
pub struct Args {
    /// One target, a folder of tests/fuzz/corpus; without it all of them, one after the other
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Builds the targets with coverage and runs them. Ends at the first that breaks a law.
pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let kept = workspace.root().join("tests/fuzz/corpus");
    let targets = chosen(args, &kept)?;
    let binary = build(workspace)?;
    for target in targets {
        let work = workspace.target().join("fuzz").join(&target);
        let (found, broken) = (work.join("corpus"), work.join("broken"));
        for folder in [&found, &broken] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut fuzzer = shell::command(&binary);
        fuzzer
            .env("CAUSEWAY_FUZZ_TARGET", &target)
            // Targets that read files are bound by the disk elsewhere.
            .env("TMPDIR", "/dev/shm")
            .arg(format!("-max_total_time={}", args.seconds))
            .arg(format!("-artifact_prefix={}/", broken.display()))
            .args([
                "-max_len=4096",
                "-use_value_profile=1",
                "-print_final_stats=1",
            ])
            .arg(&found)
            .arg(kept.join(&target));
        shell::run(&mut fuzzer).with_context(|| {
            format!(
                "{target} breaks a law. The input lies in {}: mend the code, then keep the input in {}",
                broken.display(),
                kept.join(&target).display()
            )
        })?;
    }
    Ok(())
}

fn chosen(args: &Args, kept: &PathBuf) -> Result<Vec<String>> {
    let entries = fs::read_dir(kept).with_context(|| format!("cannot list {}", kept.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        all.push(entry?.file_name().to_string_lossy().into_owned());
    }
    all.sort();
    match &args.target {
        None => Ok(all),
        Some(one) if all.contains(one) => Ok(vec![one.clone()]),
        Some(other) => bail!("expected a target of {}, got {other:?}", all.join(", ")),
    }
}

/// Builds in a target directory of its own, for the host by name: so build scripts and macros,
/// which run on the way, are built without the coverage that only libFuzzer's program can hold.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let host = shell::host()?;
    let target_dir = workspace.target().join("fuzz/build");
    let mut cargo = shell::cargo();
    cargo
        .current_dir(workspace.root())
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\u{1f}"))
        .args(["build", "--release", "--package", "causeway-fuzz"])
        .args(["--features", "libfuzzer", "--target", &host, "--target-dir"])
        .arg(&target_dir);
    shell::run(&mut cargo)
        .context("libFuzzer's own source also needs a C++ compiler, as of Debian's g++")?;
    Ok(target_dir.join(host).join("release/causeway-fuzz"))
}
