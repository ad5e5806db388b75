//! Gateways that belong to several clusters.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{build_lab, local, run_probe, wait_until, with_gateways};
use causeway_lab::measure::direction::Directions;
use causeway_lab::measure::flood::{self, Plan, SMALL};
use causeway_lab::measure::window::Window;
use causeway_lab::{Family, Lab, Site};

/// A load for two cores, with some flows whose buckets are never idle.
const FLOOD: Plan = Plan {
    flows: 64,
    busy_flows: 4,
    rate: 1_000,
    size: SMALL,
    directions: Directions::Both,
};
/// A time window longer than a flood, in nanoseconds.
const LONG: u64 = 600_000_000_000;

/// The output of `causeway local gateway list`.
fn list(lab: &Lab, vpc: u8) -> Result<String> {
    let (done, printed) = local(lab, vpc, &["gateway", "list"])?;
    ensure!(done, "{printed}");
    Ok(printed)
}

/// Configures two peerings with the same gateways on one demux: one peering for each family.
fn peering_for_each_family(lab: &Lab) -> Result<()> {
    let causeway = &lab.options().causeway;
    let home = |site: Site| lab.folder().join(site.to_string());
    for site in lab.role_sites() {
        let (own, peer) = (site.vpc, 3 - site.vpc);
        let file = lab.config_file(site);
        let text = std::fs::read_to_string(&file)?;
        let (v4, v6) = (format!("10.{peer}.0.0/24"), format!("fd00:10:{peer}::/64"));
        let both = format!("prefixes = [\"{v4}\", \"{v6}\"]");
        ensure!(text.contains(&both), "no {both} in {text}");
        let text = text.replace(&both, &format!("prefixes = [\"{v4}\"]"));
        let cluster = text.lines().find(|line| line.starts_with("gateways ="));
        let cluster = cluster.context("no cluster")?;
        let mut second =
            format!("\n[[peering]]\nname = \"ipv6\"\nprefixes = [\"{v6}\"]\n{cluster}\n");
        if site == Site::demux(own) {
            let demux = Site::demux(peer).address(Family::Ipv6);
            second += &format!("demux = \"{demux}\"\n");
        }
        let mut text = text.replacen("\n[[gateway]]", &format!("{second}\n[[gateway]]"), 1);
        if let Some(number) = (1..=2).find(|&number| site == Site::gateway(own, number)) {
            let far = Site::gateway(peer, number);
            let made = Command::new(causeway)
                .args(["key", "new", "--cipher", "aes-128-gcm"])
                .arg(home(site).join("second-outbound.key"))
                .output()?;
            ensure!(made.status.success(), "{made:?}");
            std::fs::copy(
                home(site).join("second-outbound.key"),
                home(far).join("second-inbound.key"),
            )?;
            let spi = |vpc: u8| 0x8000 + u32::from(vpc) * 0x100 + u32::from(number);
            text += &format!(
                "[[gateway.worker.tunnel]]\npeering = \"ipv6\"\npeer = \"{}\"\n\
                 encapsulation = \"udp\"\nsource-port = 4500\n\
                 outbound = {{ spi = {}, key-file = \"second-outbound.key\" }}\n\
                 inbound = {{ spi = {}, key-file = \"second-inbound.key\" }}\n",
                far.address(Family::Ipv4),
                spi(own),
                spi(peer),
            );
        }
        std::fs::write(&file, text)?;
    }
    Ok(())
}

#[test]
fn a_gateway_in_two_clusters_leaves_only_one() -> Result<()> {
    let mut lab = build_lab(with_gateways(2)?)?;
    lab.configure()?;
    peering_for_each_family(&lab)?;
    lab.start_roles()?;
    // Both peerings of each demux reach their peer through both gateways.
    for vpc in [1, 2] {
        wait_until("all pairs are up", || {
            Ok(list(&lab, vpc)?.matches("  up  ").count() == 4)
        })?;
    }
    run_probe(&lab)?;
    let drain = |vpc, peering: &[&str]| {
        let arguments = ["gateway", "drain", "--gateway", "gateway-1"];
        local(&lab, vpc, &[&arguments, peering].concat())
    };
    let (done, printed) = drain(1, &[])?;
    ensure!(!done && printed.contains("--peering"), "{printed}");
    let ((), records) = flood::during(&lab, FLOOD, Instant::now(), || {
        for (vpc, peering) in [(1, "vpc-2"), (2, "vpc-1")] {
            let (done, printed) = drain(vpc, &["--peering", peering])?;
            ensure!(done && printed.contains("2048 buckets moved"), "{printed}");
        }
        // These packets use the new tables.
        run_probe(&lab).map(drop)
    })?;
    for record in &records {
        let all = Window::of(record, &(0..LONG));
        let wrong = [all.lost, all.reordered, all.duplicated];
        ensure!(all.sent > 100 && wrong == [0; 3], "{all:?}");
    }
    for (vpc, peering) in [(1, "vpc-2"), (2, "vpc-1")] {
        let printed = list(&lab, vpc)?;
        let (drained, whole) = printed.split_once("\n\n").context("one peering")?;
        ensure!(
            drained.starts_with(peering) && drained.contains("4096"),
            "{printed}"
        );
        ensure!(whole.starts_with("ipv6: epoch 0"), "{printed}");
        ensure!(whole.matches("2048").count() == 2, "{printed}");
    }
    Ok(())
}
