//! `compare`: what got better or worse between two measurements of one kind, beyond their noise.

mod figure;
mod kind;
mod noise;
mod report;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use kind::Measured;
use report::Comparison;

/// Options of `compare`.
#[derive(clap::Args)]
pub struct Args {
    /// The document from before, as written by `--json` or by `perf curve`
    before: PathBuf,
    /// The document from after the change
    after: PathBuf,
    /// Exit with 1 if a figure got worse
    #[arg(long)]
    fail_on_worse: bool,
}

/// Reads both, compares and prints.
pub fn run(args: &Args) -> Result<()> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let comparison = Comparison::of(&before, &after)?;
    print!("{comparison}");
    let worse = comparison.worse();
    ensure!(
        !args.fail_on_worse || worse == 0,
        "{worse} figures got worse"
    );
    Ok(())
}

fn read(path: &Path) -> Result<Measured> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display().to_string();
    kind::read(&text).with_context(|| format!("cannot compare {name}"))
}
