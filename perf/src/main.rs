//! Measures Causeway: `cargo xtask perf <command>`.

mod buckets;
mod compare;
mod curve;
mod engine;
mod gateway;
mod machine;
mod path;
mod rescale;
mod spread;
mod steering;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures Causeway on this machine.
#[derive(Parser)]
#[command(name = "cargo xtask perf", bin_name = "cargo xtask perf")]
struct Perf {
    #[command(subcommand)]
    command: Measurement,
}

#[derive(Subcommand)]
enum Measurement {
    /// Counts what a cluster's change moves: the bucket table beside modulo, hash-threshold and Maglev
    Buckets(buckets::Args),
    /// Says what got better or worse between two JSON documents of one kind, beyond the noise
    Compare(compare::Args),
    /// Measures throughput against the number of gateways, in the lab: beside its limits and the reference
    Curve(curve::Args),
    /// Seals and opens on one core, without a NIC: each cipher, backend and size
    Engine(engine::Args),
    /// Runs a whole worker on one core over a device in memory: what a packet costs, and where
    Path(path::Args),
    /// One gateway process on one core over AF_XDP, between a generator and a sink, beside a plain forwarder
    Gateway(gateway::Args),
    #[command(hide = true)]
    GatewayForwarder(gateway::forwarder::Args),
    /// Changes a cluster under full load, in the lab: what is lost, reordered, silent
    Rescale(rescale::Args),
    /// Runs the XDP program over each kind of packet, in the kernel but without a NIC
    Steering(steering::Args),
}

fn main() -> ExitCode {
    match run(Perf::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Measurement) -> Result<()> {
    match command {
        Measurement::Buckets(args) => buckets::run(&args),
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
