//! `cargo xtask fuzz`: the targets of tests/fuzz under libFuzzer, guided by coverage.
//!
//! libFuzzer needs only an LLVM pass, which the stable compiler has. The build uses no sanitizer: the targets have no
//! `unsafe`, and Rust itself checks the laws, bounds and overflows.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// Coverage for libFuzzer, and the checks that a release build leaves out.
const RUSTFLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

#[derive(clap::Args)]
pub struct Args {
    /// A target: the name of a directory in tests/fuzz/corpus. Default: all targets in turn
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Builds the targets with coverage and runs them. Stops at the first failure.
pub fn run(args: &Args, workspace: &Workspace) -> Result<()> {
    let kept = workspace.root().join("tests/fuzz/corpus");
    let targets = select(args, &kept)?;
    let binary = build(workspace)?;
    for target in targets {
        let work = workspace.target().join("fuzz").join(&target);
        let (found, broken) = (work.join("corpus"), work.join("broken"));
        for folder in [&found, &broken] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let mut fuzzer = shell::command(&binary);
        fuzzer
            .env("CAUSEWAY_FUZZ_TARGET", &target)
            // On a disk, targets that read files would be slow.
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
                "{target} failed. The input is in {}; fix the code, then add the input to {}",
                broken.display(),
                kept.join(&target).display()
            )
        })?;
    }
    Ok(())
}

fn select(args: &Args, kept: &PathBuf) -> Result<Vec<String>> {
    let entries = fs::read_dir(kept).with_context(|| format!("cannot list {}", kept.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        all.push(entry?.file_name().to_string_lossy().into_owned());
    }
    all.sort();
    match &args.target {
        None => Ok(all),
        Some(one) if all.contains(one) => Ok(vec![one.clone()]),
        Some(other) => bail!(
            "expected one of the targets {}, got {other:?}",
            all.join(", ")
        ),
    }
}

/// Builds in a separate target directory. With an explicit `--target`, cargo builds build scripts and macros without
/// the coverage flags; with them these programs would not link.
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
        .context("cannot build the fuzz targets; libFuzzer needs a C++ compiler (Debian: g++)")?;
    Ok(target_dir.join(host).join("release/causeway-fuzz"))
}
