//! The performance harness: `cargo xtask perf <command>`.

mod compare;
mod curve;
mod engine;
mod gateway;
mod goal;
mod machine;
mod options;
mod path;
mod rescale;
mod spread;
mod steering;

use std::process::ExitCode;

use anyhow::Result;
use causeway_lab::output::exit_code;
use clap::{Parser, Subcommand};

/// Measure the performance of Causeway on this machine
#[derive(Parser)]
#[command(name = "cargo xtask perf", bin_name = "cargo xtask perf")]
struct Perf {
    #[command(subcommand)]
    command: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Compare two JSON documents of one kind and list the figures that changed beyond the noise
    Compare(compare::Args),
    /// Measure throughput against the number of gateways in the lab, compared with its limits and the reference
    Curve(curve::Args),
    /// Measure sealing and opening on one core without a NIC, for each cipher, backend and packet size
    Engine(engine::Args),
    /// Measure the cost per packet of a whole worker on one core over a device in memory, by stage
    Path(path::Args),
    /// Measure one gateway process on one core over AF_XDP, compared with a plain forwarder on the same core
    Gateway(gateway::Args),
    #[command(hide = true)]
    GatewayForwarder(gateway::forwarder::Args),
    /// Change a cluster under full load in the lab and measure loss, reordering and silence
    Rescale(rescale::Args),
    /// Measure the XDP program for each kind of packet, in the kernel but without a NIC
    Steering(steering::Args),
}

fn main() -> ExitCode {
    exit_code(run(Perf::parse().command).map(|()| true))
}

fn run(command: Measurement) -> Result<()> {
    match command {
        Measurement::Compare(args) => compare::run(&args),
        Measurement::Curve(args) => curve::run(&args),
        Measurement::Engine(args) => engine::run(&args),
        Measurement::Path(args) => path::run(&args),
        Measurement::Gateway(args) => gateway::run(&args),
        Measurement::GatewayForwarder(args) => gateway::forwarder::run(&args),
        Measurement::Rescale(args) => rescale::run(&args),
        Measurement::Steering(args) => steering::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use causeway_json_docs::{check, written};

    use super::*;

    #[test]
    fn the_page_has_the_keys_of_the_documents() {
        let lists = [
            ("engine", written::<engine::document::Document>()),
            ("path", written::<path::document::Document>()),
            ("gateway", written::<gateway::document::Document>()),
            ("steering", written::<steering::Document>()),
        ];
        let curve = written::<curve::document::Document>();
        check("docs/perf-report.md", &lists, &[("curve-report.md", curve)]);
    }
}
