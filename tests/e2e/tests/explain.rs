//! What `causeway explain` says of a flow is what its packets do, and what the peer's demux does with
//! their answers.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{options, running};
use causeway_lab::{Family, Lab, Options, Site};
use serde_json::Value;

const FLOWS: u16 = 6;
const PACKETS: u64 = 20;
const PORT: u16 = 9009;

/// What a demux says of a flow.
fn explained(lab: &Lab, vpc: u8, flow: &str) -> Result<Value> {
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

/// What went to each gateway, by name.
fn counts(lab: &Lab, vpc: u8) -> Result<Vec<(String, u64)>> {
    let gateways = lab.status(Site::demux(vpc))?.steering.gateways;
    let counts = gateways.into_iter().map(|each| (each.name, each.packets));
    Ok(counts.collect())
}

fn step<'a>(story: &'a Value, name: &str) -> Result<&'a Value> {
    let steps = story["steps"].as_array().context("no steps")?;
    let step = steps.iter().find(|step| step["step"] == name);
    step.with_context(|| format!("no {name} in {story}"))
}

#[test]
fn packets_go_where_it_was_said() -> Result<()> {
    let lab = running(Options {
        gateways: 3,
        ..options()?
    })?;
    let [near, far] = [1, 2].map(|vpc| Site::host(vpc, 1).address(Family::Ipv4));
    let mut gateways = std::collections::BTreeSet::new();
    for port in (20_000..).take(FLOWS.into()) {
        let flow = format!("{near}:{port} > {far}:{PORT} udp");
        let told = explained(&lab, 1, &flow)?;
        let named = told["end"]["sent"]["gateway"].as_str();
        let named = named.with_context(|| format!("not sent: {told}"))?;
        // The peer's own demux says of the answer what this one says that it will.
        let answer = format!("{far}:{PORT} > {near}:{port} udp");
        let there = explained(&lab, 2, &answer)?;
        for what in ["/bucket", "/gateway", "/table/digest"] {
            let [said, done] = [&told["answer"], &there].map(|story| {
                let name = if what == "/bucket" { "bucket" } else { "entry" };
                step(story, name).map(|step| step.pointer(what).cloned())
            });
            let (said, done) = (said?, done?);
            ensure!(
                said.is_some() && said == done,
                "{said:?}, and there {done:?}"
            );
        }

        let before = counts(&lab, 1)?;
        lab.inside(Site::host(1, 1), || {
            let socket = UdpSocket::bind(("0.0.0.0", port))?;
            for _ in 0..PACKETS {
                // Nobody listens there, as the far kernel may say meanwhile: not an error here.
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
            if !grown.is_empty() || began.elapsed() > Duration::from_secs(5) {
                break grown;
            }
        };
        let names: Vec<&str> = grown.iter().map(|(name, _)| name.as_str()).collect();
        ensure!(names == [named], "{flow}: told {named}, counted {grown:?}");
        gateways.insert(named.to_owned());
    }
    ensure!(gateways.len() > 1, "{FLOWS} flows all went to {gateways:?}");
    Ok(())
}
