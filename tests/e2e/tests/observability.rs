//! Status, metrics and log: their agreement, their keys, and the absence of secrets.

use std::net::UdpSocket;

use anyhow::{Context, Result, bail, ensure};
use causeway_e2e_tests::{run_probe, start_lab, wait_until, with_gateways};
use causeway_lab::status::{Status, Steering, Worker};
use causeway_lab::{Family, Inner, Lab, Options, Site};
use serde_json::{Value, json};

fn sample(metrics: &str, series: &str) -> Result<u64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    let value = line.with_context(|| format!("no {series} in:\n{metrics}"))?;
    Ok(value.trim().parse()?)
}

/// Reads `other` between two reads of the status, until no packet was counted between the two.
///
/// Markers and ARP arrive at any time. Equal packet counters before and after show that `other` has them too.
fn at_one_moment<T>(lab: &Lab, site: Site, other: impl Fn() -> Result<T>) -> Result<(Status, T)> {
    let mut before = lab.status(site)?;
    for _ in 0..100 {
        let read = other()?;
        let after = lab.status(site)?;
        if packets(&before) == packets(&after) {
            return Ok((after, read));
        }
        before = after;
    }
    bail!("the packet counters of {site} never stay equal: {before:?}")
}

/// The packet counters of the XDP program and of each worker.
fn packets(status: &Status) -> (&Steering, Vec<[u64; 6]>) {
    let workers = status.workers.iter().map(|worker| {
        let Worker {
            received,
            sent,
            originated,
            waiting,
            sealed,
            opened,
            ..
        } = worker;
        [
            *received,
            *sent,
            *originated,
            *waiting,
            sealed.packets,
            opened.packets,
        ]
    });
    (&status.steering, workers.collect())
}

#[test]
fn metrics_agree_with_the_status() -> Result<()> {
    let lab = start_lab(with_gateways(1)?)?;
    run_probe(&lab)?;
    let gateway = Site::gateway(1, 1);
    let (status, metrics) = at_one_moment(&lab, gateway, || lab.metrics(gateway))?;
    let worker = &status.workers[0];
    ensure!(worker.sealed.packets > 0, "nothing was sealed: {worker:?}");
    let labels = "{gateway=\"gateway-1\",worker=\"0\"}";
    let sealed = sample(
        &metrics,
        &format!("causeway_worker_sealed_packets_total{labels}"),
    )?;
    ensure!(
        sealed == worker.sealed.packets,
        "{sealed} against {worker:?}"
    );
    let sent = sample(
        &metrics,
        &format!("causeway_worker_sent_packets_total{labels}"),
    )?;
    ensure!(sent == worker.sent, "{sent} against {worker:?}");
    let to_worker = sample(&metrics, "causeway_steering_to_worker_packets_total")?;
    ensure!(
        to_worker == status.steering.to_worker,
        "{to_worker} against {status:?}"
    );
    Ok(())
}

/// Programs outside of this repository read the status by its JSON keys. This test does so too, without the shared types.
#[test]
fn the_status_document_keeps_its_keys() -> Result<()> {
    let lab = start_lab(with_gateways(1)?)?;
    run_probe(&lab)?;
    let raw = |site| -> Result<Value> { Ok(serde_json::from_str(&lab.get(site, "/status")?)?) };
    let gateway = Site::gateway(1, 1);
    let (status, document) = at_one_moment(&lab, gateway, || raw(gateway))?;
    let worker = &status.workers[0];
    let keys = [
        ("/role", json!("gateway")),
        ("/ready", json!(true)),
        ("/drained", json!(false)),
        ("/nic/name", json!(status.nic.name)),
        ("/nic/xdp_mode", json!(status.nic.xdp_mode.name())),
        ("/nic/mtu", json!(1500)),
        ("/steering/received", json!(status.steering.received)),
        ("/steering/to_worker", json!(status.steering.to_worker)),
        ("/steering/to_gateway", json!(0)),
        ("/steering/drops", json!(status.steering.drops)),
        ("/steering/punts", json!(status.steering.punts)),
        ("/workers/0/gateway", json!("gateway-1")),
        ("/workers/0/worker", json!(0)),
        ("/workers/0/core", json!(worker.core)),
        ("/workers/0/copy_mode", json!(worker.copy_mode.name())),
        ("/workers/0/received", json!(worker.received)),
        ("/workers/0/sent", json!(worker.sent)),
        ("/workers/0/originated", json!(worker.originated)),
        ("/workers/0/waiting", json!(worker.waiting)),
        ("/workers/0/sealed/packets", json!(worker.sealed.packets)),
        ("/workers/0/sealed/bytes", json!(worker.sealed.bytes)),
        ("/workers/0/opened/packets", json!(worker.opened.packets)),
        ("/workers/0/drops", json!(worker.drops)),
        ("/workers/0/kernel_drops", json!(worker.kernel_drops)),
        ("/workers/0/tunnels/0/peering", json!("vpc-2")),
        ("/workers/0/tunnels/0/path_mtu", json!(1500)),
        ("/workers/0/sa_changes/installed", json!(0)),
        ("/workers/0/frames/total", json!(worker.frames.total)),
    ];
    has(&document, &keys)?;
    let demux = Site::demux(1);
    let (status, document) = at_one_moment(&lab, demux, || raw(demux))?;
    let steered = &status.steering.gateways[0];
    let keys = [
        ("/role", json!("demux")),
        ("/steering/gateways/0/name", json!("gateway-1")),
        ("/steering/gateways/0/packets", json!(steered.packets)),
        ("/steering/gateways/0/bytes", json!(steered.bytes)),
        ("/tables/0/epoch", json!(0)),
        ("/tables/0/pairs/0/gateway", json!("gateway-1")),
        ("/tables/0/pairs/0/buckets", json!(4096)),
    ];
    has(&document, &keys)
}

/// Checks values of a JSON document by their JSON pointers.
fn has(document: &Value, keys: &[(&str, Value)]) -> Result<()> {
    for (key, expected) in keys {
        let found = document.pointer(key);
        ensure!(
            found == Some(expected),
            "{key}: expected {expected}, got {found:?} in {document}"
        );
    }
    Ok(())
}

/// Standard: unknown-spi, audit-log
#[test]
fn esp_with_an_unknown_spi_is_counted_and_logged_but_not_for_each_packet() -> Result<()> {
    const PACKETS: u64 = 200;
    let lab = start_lab(with_gateways(1)?)?;
    let gateway = Site::gateway(1, 1);
    lab.inside(Site::host(1, 1), || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let esp = [&0xdead_beef_u32.to_be_bytes()[..], &[0; 60]].concat();
        for _ in 0..PACKETS {
            // The port has no listener, so `send_to` may return an ICMP error.
            let _ = socket.send_to(&esp, (gateway.address(Family::Ipv4), 4500));
        }
        Ok(())
    })?;
    let punted = || -> Result<u64> {
        let punts = lab.status(gateway)?.steering.punts;
        Ok(punts.get("unknown-spi").copied().unwrap_or(0))
    };
    let lines = || -> Result<u64> {
        let log = std::fs::read_to_string(lab.folder().join(format!("{gateway}.err")))?;
        Ok(log.matches("unknown SPI").count() as u64)
    };
    // A full ring may lose a few packets.
    wait_until("packets are counted and logged", || {
        Ok(punted()? > PACKETS / 2 && lines()? > 0)
    })?;
    // None is counted twice.
    ensure!(punted()? <= PACKETS, "{} punted", punted()?);
    ensure!(lines()? < 20, "{} lines", lines()?);
    Ok(())
}

/// Status, metrics and log contain no key. Status and metrics contain no address.
/// Standard: no-secrets
#[test]
fn no_output_contains_secrets() -> Result<()> {
    let lab = start_lab(Options {
        inner: Inner::Both,
        ..with_gateways(1)?
    })?;
    run_probe(&lab)?;
    let mut secrets = Vec::new();
    for entry in std::fs::read_dir(
        lab.config_file(Site::gateway(1, 1))
            .parent()
            .context("a folder")?,
    )? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "key") {
            let text = std::fs::read_to_string(&path)?;
            let digits = text
                .split(|c: char| !c.is_ascii_hexdigit())
                .max_by_key(|word| word.len());
            secrets.push(digits.context("an empty key file")?.to_owned());
        }
    }
    ensure!(
        secrets.len() >= 3 && secrets.iter().all(|digits| digits.len() >= 32),
        "found {} keys",
        secrets.len()
    );
    let addresses: Vec<String> = [1, 2]
        .into_iter()
        .flat_map(|vpc| lab.sites(vpc))
        .flat_map(|site| {
            [Family::Ipv4, Family::Ipv6].map(|family| site.address(family).to_string())
        })
        .collect();
    let site = Site::gateway(1, 1);
    let status = lab.get(site, "/status")?;
    let log = std::fs::read_to_string(lab.folder().join(format!("{site}.err")))?;
    for (place, text) in [
        ("/metrics", &lab.metrics(site)?),
        ("/status", &status),
        ("the log", &log),
    ] {
        let lower = text.to_lowercase();
        // The first digits of a key must not appear either.
        let found = secrets.iter().find(|key| lower.contains(&key[..16]));
        ensure!(found.is_none(), "{place} contains a key");
        if place != "the log" {
            let found = addresses.iter().find(|&address| text.contains(address));
            ensure!(found.is_none(), "{place} contains {found:?}");
        }
    }
    Ok(())
}
