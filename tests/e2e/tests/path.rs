//! A path to the peer with a smaller MTU than the NICs (RFC 4301 section 8.2).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{build_lab, options, output};
use causeway_lab::{Family, Lab, Options, Site};

/// The MTU of the network between the two VPCs; every NIC has 1500.
const TRUNK_MTU: u32 = 1400;
/// The lifetime of a learned path MTU, in seconds.
const AGE: u32 = 3;
const PORT: u16 = 7000;
const OCTETS: usize = 1 << 20;

/// Sends a TCP stream from VPC 1 to VPC 2.
fn stream(lab: &Lab) -> Result<()> {
    let (from, to) = (Site::host(1, 1), Site::host(2, 1));
    let listener = lab.inside(to, || {
        Ok(TcpListener::bind((to.address(Family::Ipv4), PORT))?)
    })?;
    let receiver = thread::spawn(move || -> Result<usize> {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(stream.read_to_end(&mut Vec::with_capacity(OCTETS))?)
    });
    let mut sender = lab.inside(from, || {
        Ok(TcpStream::connect((to.address(Family::Ipv4), PORT))?)
    })?;
    sender.set_write_timeout(Some(Duration::from_secs(20)))?;
    sender.write_all(&vec![7; OCTETS])?;
    drop(sender);
    let arrived = receiver
        .join()
        .ok()
        .context("the receiver panicked")?
        .context("the stream does not arrive")?;
    ensure!(arrived == OCTETS, "{arrived} of {OCTETS} octets arrived");
    Ok(())
}

/// The inner MTU of a path of 1400 octets in UDP: 20 + 8 + 8 + 8 + 2 + 16 less; inner packet and trailer fill words of 4.
///
/// Standard: pmtu-outer
#[test]
fn a_smaller_path_mtu_is_learned_and_expires() -> Result<()> {
    check_path_mtu(Family::Ipv4, "mtu 1338")
}

/// The same with an outer IPv6 header of 40 octets.
///
/// Standard: pmtu-outer
#[test]
fn a_smaller_path_mtu_over_ipv6_is_learned_and_expires() -> Result<()> {
    check_path_mtu(Family::Ipv6, "mtu 1318")
}

fn check_path_mtu(outer: Family, inner_mtu: &str) -> Result<()> {
    let mut lab = build_lab(Options {
        gateways: 1,
        outer,
        ..options()?
    })?;
    for vpc in [1, 2] {
        let mtu = TRUNK_MTU.to_string();
        let command = ["link", "set", "cwlab-trunk", "mtu", &mtu];
        output(&lab, Site::switch(vpc), "ip", &command)?;
    }
    lab.configure()?;
    let gateway = Site::gateway(1, 1);
    let file = lab.config_file(gateway);
    let text = std::fs::read_to_string(&file)?;
    let age = format!("path-mtu-age = {AGE}\nclamp-mss");
    std::fs::write(&file, text.replacen("clamp-mss", &age, 1))?;
    lab.start_roles()?;

    let path_mtu = |lab: &Lab| -> Result<u64> {
        let status = lab.status(gateway)?;
        Ok(status.workers[0].tunnels[0].path_mtu)
    };
    ensure!(
        path_mtu(&lab)? == 1500,
        "a path MTU was learned before the first packet"
    );
    stream(&lab)?;
    // The gateway has learned the path MTU, and the sender has learned the inner MTU from the gateway.
    let far = Site::host(2, 1).address(Family::Ipv4).to_string();
    let route = output(&lab, Site::host(1, 1), "ip", &["route", "get", &far])?;
    ensure!(
        route.contains(inner_mtu),
        "expected {inner_mtu}, got: {route}"
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    while path_mtu(&lab)? != 1500 {
        ensure!(Instant::now() < deadline, "the path MTU does not expire");
        thread::sleep(Duration::from_millis(100));
    }
    let log = std::fs::read_to_string(lab.folder().join(format!("{gateway}.err")))?;
    ensure!(
        log.contains("mtu=1400") && log.contains("mtu=1500"),
        "the path MTU was not logged: {log}"
    );
    Ok(())
}
