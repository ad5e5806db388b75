//! `path`: what a packet costs in the whole worker, over a device in memory, and how much of that is not the cipher.
//!
//! What is compared takes turns in every round. Time is the thread's own, so whoever shares the core counts only by
//! what he does to its caches.

mod aead;
mod bench;
mod figures;
mod goals;
mod load;
mod peer;
mod points;
mod report;
mod ring;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::engine;
use crate::machine::{self, Machine};
use bench::Bench;
use figures::{Cell, Figures};
use goals::Goal;
use points::Group;
use ring::Memory;

/// Options of `path`.
#[derive(clap::Args)]
pub struct Args {
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The core to measure on; default: the last
    #[arg(long)]
    core: Option<usize>,
    /// How often everything is measured; the figures are medians
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(3..=1000))]
    rounds: u32,
    /// Change batch, SAs and flows for every cipher and size, in L2 and beyond, instead of AES-128-GCM at 64 bytes in L2 alone:
    /// some three minutes
    #[arg(long)]
    full: bool,
    /// Measure only what has this in its name, as in `aes-128-gcm 64`, `in L2` or `flows`
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    /// Raised when a key changes its meaning.
    version: u32,
    kind: &'static str,
    machine: Machine,
    /// Commit that was measured, or absent.
    commit: Option<String>,
    /// Load average of one minute, before and after.
    load: [Option<f64>; 2],
    core: usize,
    rounds: u32,
    figures: Vec<Cell>,
    peer: Vec<peer::Row>,
    goals: Vec<Goal>,
}

/// Measures, prints and writes.
pub fn run(args: &Args) -> Result<()> {
    let machine = Machine::this();
    let core = machine::pin(args.core)?;
    let load_before = machine::load();
    engine::tell_of_missing_backends();
    let mut groups = points::groups(args.full);
    let names: Vec<_> = groups.iter().map(|group| group.name.clone()).collect();
    if let Some(only) = &args.only {
        groups.retain(|group| group.name.contains(only));
    }
    ensure!(
        !groups.is_empty(),
        "expected a part of one of these names: {}",
        names.join("; ")
    );
    let mut memory = Memory::default();
    let mut figures = Figures::default();
    for group in groups {
        eprintln!("measuring {}", group.name);
        measure(&group, args.rounds, &mut memory, &mut figures)
            .with_context(|| format!("measuring {}", group.name))?;
    }
    let cells = figures.cells();
    let document = Document {
        version: 1,
        kind: "path",
        machine,
        commit: machine::commit(),
        load: [load_before, machine::load()],
        core,
        rounds: args.rounds,
        peer: peer::rows(&cells),
        goals: goals::all(&cells),
        figures: cells,
    };
    print!("{}", report::text(&document));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&document)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Measures all points of a group in turn, and the bare AEAD beside them.
fn measure(group: &Group, rounds: u32, memory: &mut Memory, figures: &mut Figures) -> Result<()> {
    let mut bare = aead::Bare::new(group)?;
    let mut parts = memory.parts(group.points.iter().map(|point| point.frames()));
    let benches = group
        .points
        .iter()
        .map(|point| Bench::new(*point, &mut parts));
    let mut benches = benches.collect::<Result<Vec<_>>>()?;
    for bench in &mut benches {
        bench.check()?;
    }
    figures.begin(&group.points);
    // The first round warms up and does not count.
    for round in 0..=rounds {
        // Another one begins each time, so that none is always the one behind the slowest.
        benches.rotate_left(1);
        let aead = bare.round(round == 0)?;
        for bench in &mut benches {
            let figure = bench.round()?;
            if round > 0 {
                figures.add(bench.point(), figure, aead.of(bench.point().direction));
            }
        }
    }
    Ok(())
}
