//! Packets that the tunnel does not carry whole (RFC 4301 section 8).

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{options, output, running};
use causeway_lab::{Family, Lab, Site};

/// The largest datagram of an Ethernet link: 1500 octets with its IP and UDP headers.
const WHOLE_LINK: usize = 1472;
/// What remains of 1500 octets for the inner packet in UDP: 1500 - 20 - 8 - 8 - 8 - 2 - 16, in fours.
const INNER_MTU: &str = "mtu 1438";
const PORT: u16 = 7000;

/// Sends datagrams until one arrives, and returns it.
fn deliver(lab: &Lab) -> Result<Vec<u8>> {
    let (from, to) = (Site::host(1, 1), Site::host(2, 1));
    let receiver = lab.inside(to, || Ok(UdpSocket::bind(("0.0.0.0", PORT))?))?;
    receiver.set_read_timeout(Some(Duration::from_millis(200)))?;
    let sender = lab.inside(from, || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect((to.address(Family::Ipv4), PORT))?;
        Ok(socket)
    })?;
    let sent: Vec<u8> = (0..WHOLE_LINK).map(|at| at as u8).collect();
    let mut arrived = vec![0; 2 * WHOLE_LINK];
    for _ in 0..20 {
        // The first may be refused: the kernel hands the ICMP error to the socket.
        let _ = sender.send(&sent);
        if let Ok(length) = receiver.recv(&mut arrived) {
            arrived.truncate(length);
            ensure!(arrived == sent, "another datagram arrived");
            return Ok(arrived);
        }
    }
    anyhow::bail!("no datagram of {WHOLE_LINK} octets arrived")
}

fn originated(lab: &Lab) -> Result<u64> {
    Ok(lab.workers(1)?.iter().map(|worker| worker.originated).sum())
}

/// Standard: pmtu-inner
#[test]
fn the_sender_learns_the_tunnel_mtu_when_it_forbids_fragments() -> Result<()> {
    let lab = running(options()?)?;
    deliver(&lab)?;
    let far = Site::host(2, 1).address(Family::Ipv4).to_string();
    let route = output(&lab, Site::host(1, 1), "ip", &["route", "get", &far])?;
    ensure!(
        route.contains(INNER_MTU),
        "expected {INNER_MTU}, got: {route}"
    );
    ensure!(originated(&lab)? > 0, "no worker sent an ICMP error");
    let workers = lab.workers(1)?;
    let dropped: u64 = workers
        .iter()
        .filter_map(|worker| worker.drops.get("too-big"))
        .sum();
    ensure!(dropped > 0, "no packet was counted as too big");
    Ok(())
}

#[test]
fn packets_that_may_be_fragmented_arrive_whole() -> Result<()> {
    let lab = running(options()?)?;
    lab.inside(Site::host(1, 1), || {
        std::fs::write("/proc/sys/net/ipv4/ip_no_pmtu_disc", "1").context("cannot clear DF")
    })?;
    deliver(&lab)?;
    let far = Site::host(2, 1).address(Family::Ipv4).to_string();
    let route = output(&lab, Site::host(1, 1), "ip", &["route", "get", &far])?;
    ensure!(
        !route.contains("mtu"),
        "the sender was told an MTU: {route}"
    );
    ensure!(originated(&lab)? > 0, "no packet was fragmented");
    Ok(())
}
