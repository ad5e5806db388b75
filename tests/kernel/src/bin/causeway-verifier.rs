//! `cargo xtask verify program`: the kernel verifier's statistics on the XDP program.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use causeway_kernel_tests::verifier::report;
use clap::Parser;

/// Loads the XDP program and reports the kernel verifier's statistics and their limits.
#[derive(Parser)]
#[command(
    name = "cargo xtask verify program",
    bin_name = "cargo xtask verify program"
)]
struct Args {
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The kernel program's object file
    #[arg(
        long,
        env = "CAUSEWAY_XDP_OBJECT",
        default_value = "target/causeway-xdp.o"
    )]
    object: PathBuf,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let object = std::fs::read(&args.object).with_context(|| {
        let path = args.object.display();
        format!("cannot read {path}: build it with `cargo xtask build`")
    })?;
    let report = report(&object).context("cannot load the program: this needs root")?;
    println!("{report}");
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(match report.over_limit() {
        None => ExitCode::SUCCESS,
        Some(what) => {
            println!("{what}");
            ExitCode::FAILURE
        }
    })
}
