//! `engine`: what a packet costs in the ESP engine, and how much of that is the cipher.
//!
//! Everything that is compared is measured in turn, round by round over the same frames, and
//! compared within the round. So what else the machine does meets all of it alike, and ratios hold
//! where single figures waver.

mod bare;
pub mod figures;
mod goals;
mod report;
pub mod subject;
pub mod workload;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use causeway_esp::{Backend, BackendChoice, Cipher};
use serde::Serialize;

use crate::machine::{self, Machine};
use figures::{Cell, Direction, Figures, What};
use goals::Goal;
use subject::Subject;
use workload::{FRAME_LEN, FRAMES, Frames, Workload};

/// Options of `engine`.
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
    /// Frames of each of the three rings. The default is larger than the caches; with some 64 the
    /// frames stay in them, which shows what the instructions cost
    #[arg(long, default_value_t = FRAMES, value_parser = frame_count)]
    frames: usize,
}

fn frame_count(text: &str) -> Result<usize> {
    let count = text.parse()?;
    ensure!((16..=1 << 20).contains(&count), "expected 16 to 1048576");
    Ok(count)
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    /// Raised when a key changes its meaning.
    version: u32,
    machine: Machine,
    /// Load average of one minute, before and after.
    load: [Option<f64>; 2],
    core: usize,
    rounds: u32,
    frames: usize,
    frame_bytes: usize,
    figures: Vec<Cell>,
    goals: Vec<Goal>,
}

/// Says which backends are not measured, and why.
pub fn tell_of_missing_backends() {
    for missing in Backend::ALL
        .map(Backend::available)
        .into_iter()
        .filter_map(Result::err)
    {
        eprintln!("{missing}");
    }
}

/// Measures, prints and writes.
pub fn run(args: &Args) -> Result<()> {
    let machine = Machine::this();
    let core = machine::pin(args.core)?;
    let load_before = machine::load();
    tell_of_missing_backends();
    let mut frames = Frames::new(args.frames);
    let mut figures = Figures::default();
    for cipher in Cipher::ALL {
        for workload in Workload::ALL {
            eprintln!("measuring {cipher}, {workload}");
            measure(cipher, workload, args.rounds, &mut frames, &mut figures)?;
        }
    }
    let document = Document {
        version: 1,
        machine,
        load: [load_before, machine::load()],
        core,
        rounds: args.rounds,
        frames: args.frames,
        frame_bytes: FRAME_LEN,
        goals: goals::all(&figures),
        figures: figures.cells(),
    };
    print!("{}", report::text(&document));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&document)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn measure(
    cipher: Cipher,
    workload: Workload,
    rounds: u32,
    frames: &mut Frames,
    figures: &mut Figures,
) -> Result<()> {
    let mut subjects = Vec::new();
    for available in Backend::present() {
        let backend = Some(available.backend());
        subjects.push((What::Aead, backend, Subject::bare(cipher, available)?));
        let choice = BackendChoice::Only(available);
        subjects.push((What::Esp, backend, Subject::esp(cipher, choice)?));
    }
    let default = Subject::esp(cipher, BackendChoice::default())?;
    subjects.push((What::Esp, None, default));

    frames.fill(workload);
    // The first round warms up and does not count.
    for round in 0..=rounds {
        // Another one begins each time, so that none is always the one behind the slowest.
        subjects.rotate_left(1);
        for (what, backend, subject) in &mut subjects {
            for direction in Direction::BOTH {
                let time = subject.pass(direction, frames)?;
                if round > 0 {
                    let ns = time.as_nanos() as f64 / frames.count() as f64;
                    figures.add((cipher, workload, direction, *what, *backend), round, ns);
                }
            }
        }
        frames.check()?;
    }
    Ok(())
}
