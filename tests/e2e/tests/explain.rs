//! `causeway explain` predicts the gateway of a flow's packets, and the gateway of the replies at the peer's demux.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{options, start_lab};
use causeway_lab::{Family, Lab, Site};
use serde_json::Value;

/// One of 2^15 keys steers all of them to one of two gateways.
const FLOWS: u16 = 16;
const PACKETS: u64 = 20;
const PORT: u16 = 9009;

/// The trace that a demux returns for a flow.
fn explain(lab: &Lab, vpc: u8, flow: &str) -> Result<Value> {
    let socket = lab
        .folder()
        .join(format!("{}/control.sock", Site::demux(vpc)));
    let output = Command::new(&lab.options().causeway)
        .args(["explain", "--json", "--socket"])
        .arg(socket)
        .arg(flow)
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The packets steered to each gateway, by name.
fn counts(lab: &Lab, vpc: u8) -> Result<Vec<(String, u64)>> {
    let gateways = lab.status(Site::demux(vpc))?.steering.gateways;
    let counts = gateways.into_iter().map(|each| (each.name, each.packets));
    Ok(counts.collect())
}

fn step<'a>(trace: &'a Value, name: &str) -> Result<&'a Value> {
    let steps = trace["steps"].as_array().context("no steps")?;
    let step = steps.iter().find(|step| step["step"] == name);
    step.with_context(|| format!("no {name} in {trace}"))
}

#[test]
fn packets_go_to_the_explained_gateway() -> Result<()> {
    let lab = start_lab(options()?)?;
    let [near, far] = [1, 2].map(|vpc| Site::host(vpc, 1).address(Family::Ipv4));
    let mut gateways = std::collections::BTreeSet::new();
    for port in (20_000..).take(FLOWS.into()) {
        let flow = format!("{near}:{port} > {far}:{PORT} udp");
        let trace = explain(&lab, 1, &flow)?;
        let named = trace["end"]["sent"]["gateway"].as_str();
        let named = named.with_context(|| format!("not sent: {trace}"))?;
        // The trace of this demux predicts the trace of the reply at the peer's demux.
        let answer = format!("{far}:{PORT} > {near}:{port} udp");
        let there = explain(&lab, 2, &answer)?;
        for key in ["/bucket", "/gateway", "/table/digest"] {
            let [predicted, actual] = [&trace["answer"], &there].map(|trace| {
                let name = if key == "/bucket" { "bucket" } else { "entry" };
                step(trace, name).map(|step| step.pointer(key).cloned())
            });
            let (predicted, actual) = (predicted?, actual?);
            ensure!(
                predicted.is_some() && predicted == actual,
                "{key}: predicted {predicted:?}, the peer has {actual:?}"
            );
        }

        let before = counts(&lab, 1)?;
        lab.inside(Site::host(1, 1), || {
            let socket = UdpSocket::bind(("0.0.0.0", port))?;
            for _ in 0..PACKETS {
                // The port has no listener, so `send_to` may return an ICMP error.
                let _ = socket.send_to(&[0; 100], (far, PORT));
            }
            Ok(())
        })?;
        let began = Instant::now();
        let grown = loop {
            let after = counts(&lab, 1)?;
            let counts = after.into_iter().zip(&before);
            let grown: Vec<_> = counts
                .map(|((name, after), (_, before))| (name, after - before))
                .filter(|(_, packets)| *packets >= PACKETS / 2)
                .collect();
            if !grown.is_empty() || began.elapsed() > Duration::from_secs(30) {
                break grown;
            }
        };
        let names: Vec<&str> = grown.iter().map(|(name, _)| name.as_str()).collect();
        ensure!(
            names == [named],
            "{flow}: explained as {named}, counted at {grown:?}"
        );
        gateways.insert(named.to_owned());
    }
    ensure!(gateways.len() > 1, "{FLOWS} flows all went to {gateways:?}");
    Ok(())
}
