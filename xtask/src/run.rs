//! `cargo xtask run`: builds a lab with an encrypted cluster peering and measures it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use causeway_lab::measure::survey;
use causeway_lab::output::print;
use causeway_lab::{Cipher, Encapsulation, Family, Inner, Lab, Options, Placement};

use crate::report::Report;

/// The options of the lab and of the measurement.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Gateways in each VPC, 1 to 10
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub gateways: u8,

    /// Each gateway on its own host, or all on the host of the demux: remote or local
    #[arg(long, default_value_t = Placement::Remote)]
    pub placement: Placement,

    /// TCP streams of iperf3
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub streams: u16,

    /// Seconds of iperf3 in each direction
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub duration: u32,

    /// AEAD of the tunnels: aes-128-gcm, aes-256-gcm or chacha20-poly1305
    #[arg(long, default_value_t = Cipher::Aes128Gcm)]
    pub cipher: Cipher,

    /// ESP in UDP 4500 or plain ESP: udp or esp
    #[arg(long, default_value_t = Encapsulation::Udp)]
    pub encapsulation: Encapsulation,

    /// Address family of the hosts: ipv4, ipv6, or both with half of the flows each
    #[arg(long, default_value_t = Inner::Both)]
    pub inner: Inner,

    /// Address family of the tunnels: ipv4 or ipv6
    #[arg(long, default_value_t = Family::Ipv4)]
    pub outer: Family,

    /// Seconds between key changes of every gateway pair, in a measurement of its own
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub rekey: Option<u32>,

    /// Write the report as JSON to this file as well (docs/run-report.md)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Builds the lab, runs the binary in it, measures, prints the report and removes the lab. Returns whether every fact
/// holds.
pub fn run(args: &Args, causeway: &Path, xdp_object: &Path) -> Result<bool> {
    let start = Instant::now();
    let mut progress = |step: &str| {
        eprintln!("[{:5.1} s] {step}", start.elapsed().as_secs_f64());
    };
    progress(&format!(
        "creating two VPCs with {} gateways each, placement {}",
        args.gateways, args.placement
    ));
    let mut lab = Lab::new(Options {
        gateways: args.gateways,
        placement: args.placement,
        cipher: args.cipher,
        encapsulation: args.encapsulation,
        inner: args.inner,
        outer: args.outer,
        ..Options::new(absolute(causeway)?, absolute(xdp_object)?)
    })?;
    for id in lab.leftovers() {
        progress(&format!("removed lab {id}, left by a killed run"));
    }
    progress(&format!("starting the roles in lab {}", lab.id()));
    lab.start_roles()?;
    let plan = survey::Plan {
        streams: args.streams,
        duration: args.duration,
        rekey: args.rekey,
        ..survey::Plan::default()
    };
    let survey = survey::run(&mut lab, &plan, &mut progress)?;
    progress("removing the lab");
    let options = lab.options().clone();
    drop(lab);

    let report = Report::new(&options, &plan, &survey);
    print(&report)?;
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, json)
            .with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    Ok(report.holds)
}

/// The roles run in directories of the lab, where a relative path would not resolve.
fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("{} does not exist; run `cargo xtask build`", path.display()))
}
