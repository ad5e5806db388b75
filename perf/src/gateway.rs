//! `perf gateway`: one gateway process on one core, over AF_XDP on a veth.
//!
//! The gateway and a plain forwarder run on the same core and take turns; the idle one sleeps. The load
//! runs on another core. There the kernel generates the packets and delivers them to the socket, as a
//! NIC does whose interrupts go to another core. XDP counts and drops the outgoing packets at the far end
//! of the veth, on the gateway's core.

mod addresses;
mod args;
mod cpu;
pub mod document;
pub mod forwarder;
mod goals;
mod hosts;
mod kernel;
mod measure;
mod packets;
mod report;
mod tunnel;

use anyhow::{Result, ensure};
use causeway_lab::output::print;

use crate::machine::{self, Machine};
pub use args::Args;
use document::Document;
use hosts::Hosts;

/// Measures, prints the report and writes the document.
pub fn run(args: &Args) -> Result<()> {
    ensure!(
        args.core != args.load_core,
        "--core and --load-core are both {}; give gateway and load a core each",
        args.core
    );
    let (machine, load) = (Machine::this(), machine::load());
    let mut hosts = Hosts::new(args)?;
    // Child processes inherit the affinity, so this thread is pinned after they have started.
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
    print(report::text(&document))?;
    args.output.write(&document)
}
