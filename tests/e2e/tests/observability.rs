//! What operators see: metrics that agree with the status, and the kernel program's own words.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use causeway_e2e_tests::{options, running};
use causeway_lab::measure::probe;
use causeway_lab::{Family, Inner, Lab, Options, Site, Status};

fn sample(metrics: &str, series: &str) -> Result<u64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    let value = line.with_context(|| format!("no {series} in:\n{metrics}"))?;
    Ok(value.trim().parse()?)
}

/// Status and metrics between which no counter moved: markers and ARP come whenever they like, so
/// only a status that is the same before and after tells what the metrics were read from.
fn at_one_moment(lab: &Lab, site: Site) -> Result<(Status, String)> {
    let mut before = lab.status(site)?;
    for _ in 0..100 {
        let metrics = lab.metrics(site)?;
        let after = lab.status(site)?;
        if before == after {
            return Ok((after, metrics));
        }
        before = after;
    }
    bail!("the counters of {site} do not rest: {before:?}")
}

#[test]
fn metrics_say_what_the_status_says() -> Result<()> {
    let lab = running(Options {
        gateways: 1,
        ..options()?
    })?;
    probe::run(
        &lab,
        Site::host(1, 1),
        Site::host(2, 1),
        &probe::Plan::default(),
    )?;
    let gateway = Site::gateway(1, 1);
    let (status, metrics) = at_one_moment(&lab, gateway)?;
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

/// Standard: unknown-spi, audit-log
#[test]
fn esp_with_an_unknown_spi_is_counted_and_logged_but_not_for_each_packet() -> Result<()> {
    const PACKETS: u64 = 200;
    let lab = running(Options {
        gateways: 1,
        ..options()?
    })?;
    let gateway = Site::gateway(1, 1);
    lab.inside(Site::host(1, 1), || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let esp = [&0xdead_beef_u32.to_be_bytes()[..], &[0; 60]].concat();
        for _ in 0..PACKETS {
            // The kernel that gets the packets answers that nobody listens: not an error here.
            let _ = socket.send_to(&esp, (gateway.address(Family::Ipv4), 4500));
        }
        Ok(())
    })?;
    std::thread::sleep(Duration::from_millis(1000));
    let status = lab.status(gateway)?;
    let punted = status
        .steering
        .punts
        .get("unknown-spi")
        .copied()
        .unwrap_or(0);
    // Loopback of the lab may lose a few to a full ring; none may come twice.
    ensure!(
        (1..=PACKETS).contains(&punted),
        "{punted} punted: {status:?}"
    );
    let log = std::fs::read_to_string(lab.folder().join(format!("{gateway}.err")))?;
    let lines = log.matches("unknown SPI").count() as u64;
    ensure!(
        (1..punted.min(20)).contains(&lines),
        "{lines} lines for {punted} packets:\n{log}"
    );
    Ok(())
}

/// Keys are nowhere in what a role tells; addresses only in its log.
/// Standard: no-secrets
#[test]
fn nothing_secret_is_told() -> Result<()> {
    let lab = running(Options {
        gateways: 1,
        inner: Inner::Both,
        ..options()?
    })?;
    probe::run(
        &lab,
        Site::host(1, 1),
        Site::host(2, 1),
        &probe::Plan::default(),
    )?;
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
        // Also a part of one: a key and its salt are told apart nowhere.
        let told = secrets.iter().find(|key| lower.contains(&key[..16]));
        ensure!(told.is_none(), "{place} tells a key");
        if place != "the log" {
            let told = addresses.iter().find(|&address| text.contains(address));
            ensure!(told.is_none(), "{place} tells {told:?}");
        }
    }
    Ok(())
}
