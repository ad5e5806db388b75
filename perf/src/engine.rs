//! `perf engine`: the cost of a packet in the ESP engine, and the share of the cipher in it.
//!
//! All subjects are measured in turn, round by round over the same frames, and compared within the
//! round. Other load on the machine then affects all of them alike, so ratios are more stable than
//! single figures.

mod bare;
pub mod document;
pub mod figures;
mod goals;
mod report;
pub mod subject;
pub mod workload;

use anyhow::{Result, ensure};
use causeway_esp::{Backend, BackendChoice, Cipher};
use causeway_lab::output::print;

use crate::machine::{self, Machine};
use crate::options::Output;
use document::Document;
use figures::{Direction, Figures, Operation};
use subject::Subject;
use workload::{FRAME_LEN, FRAMES, Frames, Workload};

/// Options of `engine`.
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
    /// Frames of each of the three rings. The default exceeds the caches; with 64 the frames stay in
    /// L2 and the figures show the cost of the instructions
    #[arg(long, default_value_t = FRAMES, value_parser = frame_count)]
    frames: usize,
}

fn frame_count(text: &str) -> Result<usize> {
    let count = text.parse()?;
    ensure!(
        (16..=1 << 20).contains(&count),
        "expected a number from 16 to 1048576"
    );
    Ok(count)
}

/// Warns of each backend that is not available, with the reason.
pub fn warn_of_missing_backends() {
    for missing in Backend::ALL
        .map(Backend::available)
        .into_iter()
        .filter_map(Result::err)
    {
        eprintln!("{missing}");
    }
}

/// Measures, prints the report and writes the document.
pub fn run(args: &Args) -> Result<()> {
    let machine = Machine::this();
    let core = machine::pin(args.core)?;
    let load_before = machine::load();
    warn_of_missing_backends();
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
    print(report::text(&document))?;
    args.output.write(&document)
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
        subjects.push((Operation::Aead, backend, Subject::bare(cipher, available)?));
        let choice = BackendChoice::Only(available);
        subjects.push((Operation::Esp, backend, Subject::esp(cipher, choice)?));
    }
    let default = Subject::esp(cipher, BackendChoice::default())?;
    subjects.push((Operation::Esp, None, default));

    frames.fill(workload);
    // The first round is a warm-up and does not count.
    for round in 0..=rounds {
        // Each round starts with another subject, so that none always follows the slowest.
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
