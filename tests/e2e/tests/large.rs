//! Packets that are too large for the tunnel (RFC 4301 section 8).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{options, output, start_lab};
use causeway_lab::{Encapsulation, Family, Lab, Options, Site};

/// The largest UDP payloads of an Ethernet link: 1500 octets with IP and UDP headers.
const LARGEST: [(Family, usize); 2] = [(Family::Ipv4, 1472), (Family::Ipv6, 1452)];
const PORT: u16 = 7000;

/// Sends datagrams of the largest size until one arrives.
fn deliver(lab: &Lab, family: Family) -> Result<()> {
    let (from, to) = (Site::host(1, 1), Site::host(2, 1));
    let any: IpAddr = match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let receiver = lab.inside(to, || Ok(UdpSocket::bind((any, PORT))?))?;
    receiver.set_read_timeout(Some(Duration::from_millis(200)))?;
    let sender = lab.inside(from, || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((to.address(family), PORT))?;
        Ok(socket)
    })?;
    let size = LARGEST.iter().find(|(of, _)| *of == family);
    let size = size.map_or(0, |(_, size)| *size);
    let sent: Vec<u8> = (0..size).map(|at| at as u8).collect();
    let mut arrived = vec![0; 2 * size];
    for _ in 0..20 {
        // The first `send` may fail, because the kernel reports the ICMP error at the socket.
        let _ = sender.send(&sent);
        if let Ok(length) = receiver.recv(&mut arrived) {
            ensure!(arrived[..length] == sent, "another datagram arrived");
            return Ok(());
        }
    }
    anyhow::bail!("no {family} datagram of {size} octets arrived")
}

fn originated(lab: &Lab) -> Result<u64> {
    Ok(lab.workers(1)?.iter().map(|worker| worker.originated).sum())
}

/// The sender's route to the far host, with the path MTU that it has learned.
fn route(lab: &Lab, family: Family) -> Result<String> {
    let far = Site::host(2, 1).address(family).to_string();
    output(lab, Site::host(1, 1), "ip", &["route", "get", &far])
}

/// Checks that the sender learns `mtu`, and that the dropped packets are counted.
fn check_mtu(lab: &Lab, family: Family, mtu: u32) -> Result<()> {
    let before = originated(lab)?;
    deliver(lab, family)?;
    let route = route(lab, family)?;
    ensure!(
        route.contains(&format!("mtu {mtu} ")),
        "expected mtu {mtu}, got: {route}"
    );
    ensure!(
        originated(lab)? > before,
        "no worker sent an {family} ICMP error"
    );
    let workers = lab.workers(1)?;
    let dropped: u64 = workers
        .iter()
        .filter_map(|worker| worker.drops.get("too-big"))
        .sum();
    ensure!(dropped > 0, "no packet was counted as too big");
    Ok(())
}

/// Over IPv6 the sender then fragments the datagram itself.
///
/// Standard: pmtu-inner
#[test]
fn the_sender_learns_the_tunnel_mtu_if_packets_must_not_be_fragmented() -> Result<()> {
    let lab = start_lab(options()?)?;
    // 1500 - 20 (IPv4) - 8 (UDP) - 8 (ESP) - 8 (IV) - 2 (trailer) - 16 (ICV); inner packet and trailer fill words of 4.
    check_mtu(&lab, Family::Ipv4, 1438)?;
    check_mtu(&lab, Family::Ipv6, 1438)
}

/// Standard: pmtu-inner
#[test]
fn an_outer_ipv6_header_costs_twenty_octets() -> Result<()> {
    let lab = start_lab(Options {
        encapsulation: Encapsulation::Esp,
        outer: Family::Ipv6,
        ..options()?
    })?;
    // 1500 - 40 (IPv6) - 8 (ESP) - 8 (IV) - 2 (trailer) - 16 (ICV); inner packet and trailer fill words of 4.
    check_mtu(&lab, Family::Ipv4, 1426)?;
    check_mtu(&lab, Family::Ipv6, 1426)
}

#[test]
fn packets_that_may_be_fragmented_arrive_complete() -> Result<()> {
    let lab = start_lab(options()?)?;
    lab.inside(Site::host(1, 1), || {
        std::fs::write("/proc/sys/net/ipv4/ip_no_pmtu_disc", "1").context("cannot clear DF")
    })?;
    deliver(&lab, Family::Ipv4)?;
    let route = route(&lab, Family::Ipv4)?;
    ensure!(
        !route.contains("mtu"),
        "the sender has learned an MTU: {route}"
    );
    ensure!(originated(&lab)? > 0, "no packet was fragmented");
    Ok(())
}
