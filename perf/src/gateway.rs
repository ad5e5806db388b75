//! `gateway`: one gateway process on one core, over AF_XDP on a veth.
//!
//! Gateway and plain forwarder run side by side on the same core and take turns; the one whose turn it
//! is not sleeps. The load has the other core, where the kernel makes the packets and, as on a NIC whose
//! interrupts go to another core, hands them to the socket. What leaves is counted and dropped by XDP,
//! on the gateway's core.

mod cpu;
pub mod forwarder;
mod goals;
mod hosts;
mod kernel;
mod measure;
mod packets;
mod report;
mod tunnel;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use causeway_esp::Cipher;
use causeway_lab::Reasons;
use serde::Serialize;

use crate::machine::{self, Machine};
use goals::Goal;
use hosts::Hosts;
use measure::{Calls, Cell, Idle, Rung};

/// Options of `gateway`.
#[derive(clap::Args)]
pub struct Args {
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The gateway's core; default: the last
    #[arg(long, default_value_t = last_core())]
    core: usize,
    /// The core that makes the packets and receives them
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    #[arg(long, default_value_t = Cipher::Aes128Gcm)]
    cipher: Cipher,
    /// Inner packets of these sizes only: octets, or `imix`
    #[arg(long, value_parser = ["64", "512", "1400", "imix"])]
    size: Vec<String>,
    /// Packets that arrive at a time, as a NIC's interrupt brings them
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=256))]
    batch: u32,
    /// How often everything is measured; the figures are medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Milliseconds of one turn; one that decrypts lasts as long as its 200,000 sealed packets
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    window: u64,
    /// The causeway binary
    #[arg(
        long,
        env = "CAUSEWAY_BINARY",
        default_value = "target/release/causeway"
    )]
    causeway: PathBuf,
    /// The causeway binary of another build, to take turns with: before a change and after it
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The kernel program's object file
    #[arg(
        long,
        env = "CAUSEWAY_XDP_OBJECT",
        default_value = "target/causeway-xdp.o"
    )]
    object: PathBuf,
    /// The object file of what this measurement has in the kernel
    #[arg(
        long,
        env = "CAUSEWAY_LOAD_OBJECT",
        default_value = "target/causeway-load.o"
    )]
    load: PathBuf,
}

fn last_core() -> usize {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.last().map_or(1, |core| core.id)
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    /// Always `gateway`.
    kind: &'static str,
    /// Raised when a key changes its meaning.
    version: u32,
    machine: Machine,
    /// Load average of one minute, before and after.
    load: [Option<f64>; 2],
    cipher: &'static str,
    rounds: u32,
    window_ms: u64,
    batch: u32,
    core: usize,
    load_core: usize,
    figures: Vec<Cell>,
    calls: Vec<Calls>,
    idle: Idle,
    ramp: Vec<Rung>,
    /// What the gateway's worker dropped, and the kernel before it, by reason, in all turns together.
    drops: Reasons,
    kernel_drops: Reasons,
    goals: Vec<Goal>,
}

/// Measures, prints and writes.
pub fn run(args: &Args) -> Result<()> {
    ensure!(
        args.core != args.load_core,
        "gateway and load need a core each, and both were to have core {}",
        args.core
    );
    let args = &Args {
        json: args.json.clone(),
        size: args.size.clone(),
        causeway: std::path::absolute(&args.causeway)?,
        against: args.against.as_ref().map(std::path::absolute).transpose()?,
        object: std::path::absolute(&args.object)?,
        load: std::path::absolute(&args.load)?,
        ..*args
    };
    let (machine, load) = (Machine::this(), machine::load());
    let mut hosts = Hosts::new(args)?;
    // Only now, since processes inherit it.
    machine::pin(Some(args.load_core))?;
    let figures = measure::figures(args, &mut hosts)?;
    let ramp = measure::ramp(args, &mut hosts)?;
    let calls = measure::calls(args, &mut hosts)?;
    let idle = measure::idle(&hosts)?;
    let worker = hosts.worker()?;
    let document = Document {
        kind: "gateway",
        version: 1,
        machine,
        load: [load, machine::load()],
        cipher: args.cipher.name(),
        rounds: args.rounds,
        window_ms: args.window,
        batch: args.batch,
        core: args.core,
        load_core: args.load_core,
        goals: goals::all(&figures, &calls, &idle, &ramp),
        figures,
        calls,
        idle,
        ramp,
        drops: worker.drops,
        kernel_drops: worker.kernel_drops,
    };
    print!("{}", report::text(&document));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&document)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
