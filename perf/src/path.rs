//! `perf path`: the cost of a packet in the whole worker over a device in memory, and the part that is not the cipher.
//!
//! All points of a group take turns in every round. Time is thread CPU time, so other threads on the core count only
//! by their effect on its caches.

mod aead;
mod bench;
pub mod document;
mod figures;
mod goals;
mod load;
mod peer;
mod points;
mod report;
mod ring;

use anyhow::{Context, Result, ensure};
use causeway_lab::output::print;

use crate::engine;
use crate::machine::{self, Machine};
use crate::options::Output;
use bench::Bench;
use document::Document;
use figures::Figures;
use points::Group;
use ring::Memory;

/// Options of `path`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
    /// Core to measure on [default: the last one]
    #[arg(long)]
    core: Option<usize>,
    /// Number of rounds; each figure is the median of its rounds
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(3..=1000))]
    rounds: u32,
    /// Vary burst length, SAs and flows for every cipher and size, in L2 and beyond it, instead of for AES-128-GCM at 64 bytes
    /// in L2 only; takes about three minutes
    #[arg(long)]
    full: bool,
    /// Measure only the groups whose names contain TEXT, such as `aes-128-gcm 64`, `in L2` or `flows`
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Measures, prints the report and writes the document.
pub fn run(args: &Args) -> Result<()> {
    let machine = Machine::this();
    let core = machine::pin(args.core)?;
    let load_before = machine::load();
    engine::warn_of_missing_backends();
    let mut groups = points::groups(args.full);
    let names: Vec<_> = groups.iter().map(|group| group.name.clone()).collect();
    if let Some(only) = &args.only {
        groups.retain(|group| group.name.contains(only));
    }
    ensure!(
        !groups.is_empty(),
        "--only matches no group; expected a part of one of these names: {}",
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
    print(report::text(&document))?;
    args.output.write(&document)
}

/// Measures all points of a group in turn, with the bare AEAD in the same rounds.
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
    // The first round is a warm-up and does not count.
    for round in 0..=rounds {
        // Each round starts with another point, so that none always follows the slowest.
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
