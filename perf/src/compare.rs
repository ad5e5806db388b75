//! `perf compare`: the figures that changed between two measurements of one kind, beyond their noise.

mod figure;
mod kind;
mod measured;
mod noise;
mod report;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use causeway_lab::output::print;

use measured::Measured;
use report::Comparison;

/// Options of `compare`.
#[derive(clap::Args)]
pub struct Args {
    /// The document from before the change, written by `--json` or by `perf curve --out`
    before: PathBuf,
    /// The document from after the change
    after: PathBuf,
    /// Exit with 1 if a figure got worse
    #[arg(long)]
    fail_on_worse: bool,
}

/// Reads both documents, compares them and prints the result.
pub fn run(args: &Args) -> Result<()> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let comparison = Comparison::of(&before, &after)?;
    print(&comparison)?;
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
