//! On hosts that forward packets, with routers that know the other VPC: no packet for it ever leaves in clear.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e_tests::{
    build_lab, must_cross, must_not_cross, output, stop_cleanly, wait_until, with_gateways,
};
use causeway_lab::measure::capture::Capture;
use causeway_lab::measure::marker::Marker;
use causeway_lab::{Family, Inner, Lab, Options, Site};

const TRUNK: &str = "cwlab-trunk";

fn ip(lab: &Lab, site: Site, line: &str) -> Result<String> {
    let words: Vec<_> = line.split(' ').collect();
    output(lab, site, "ip", &words)
}

/// Makes every machine of VPC 1 forward packets for VPC 2.
fn open_the_way(lab: &Lab) -> Result<()> {
    let switch = Site::switch(1);
    let routes = ip(lab, switch, &format!("route show dev {TRUNK}"))?;
    let mut words = routes.split_whitespace().skip_while(|word| *word != "via");
    let far = words.nth(1).context("no route across the trunk")?;
    ip(
        lab,
        switch,
        &format!("route add 10.2.0.0/24 via {far} dev {TRUNK}"),
    )?;
    for site in [Site::demux(1), Site::gateway(1, 1)] {
        ip(lab, site, "route replace 10.2.0.0/24 via 10.1.0.1")?;
        lab.inside(site, || {
            Ok(std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?)
        })?;
    }
    Ok(())
}

/// Sends marked packets to the other VPC while `work` runs. Returns how many marks the trunk shows.
fn plaintext_during(lab: &Lab, work: impl FnOnce() -> Result<()>) -> Result<u64> {
    let (from, to) = (Site::host(1, 1), Site::host(2, 1).address(Family::Ipv4));
    let socket = lab.inside(from, || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
    let marker = Marker::random()?;
    let capture = Capture::start(lab)?;
    let stop = AtomicBool::new(false);
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Without a path the socket reports the ICMP error of an earlier packet.
                let _ = socket.send_to(marker.bytes(), (to, 7));
                thread::sleep(Duration::from_millis(1));
            }
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        done
    });
    let census = capture.stop(&marker)?;
    done?;
    Ok(census.markers)
}

#[test]
fn nothing_leaves_in_clear_while_a_role_is_away() -> Result<()> {
    let mut lab = build_lab(Options {
        inner: Inner::Ipv4,
        ..with_gateways(1)?
    })?;
    open_the_way(&lab)?;
    let (demux, gateway) = (Site::demux(1), Site::gateway(1, 1));
    let before = plaintext_during(&lab, || must_cross(&lab))?;
    ensure!(before > 0, "the way is not open, so the test shows nothing");
    lab.start_roles()?;
    must_cross(&lab)?;

    for role in [gateway, demux] {
        lab.kill_role(role)?;
        let away = plaintext_during(&lab, || must_not_cross(&lab, "a role was killed"))?;
        ensure!(away == 0, "{away} packets in clear while {role} is away");
        let mut again = None;
        let starting = plaintext_during(&lab, || {
            again = Some(lab.restart(role)?);
            wait_until("packets cross again", || Ok(must_cross(&lab).is_ok()))
        })?;
        ensure!(
            starting == 0,
            "{starting} packets in clear while {role} starts"
        );
        drop(again);
        lab.start_role(role)?;
        wait_until("packets cross again", || Ok(must_cross(&lab).is_ok()))?;
    }
    stop_cleanly(&mut lab)?;
    let stopped = plaintext_during(&lab, || must_not_cross(&lab, "all roles have stopped"))?;
    ensure!(
        stopped == 0,
        "{stopped} packets in clear after the end of all roles"
    );
    Ok(())
}
