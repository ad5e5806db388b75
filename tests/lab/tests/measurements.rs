//! The measurements on a network without Causeway, where plaintext and loss must be found. These tests need root.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use causeway_lab::measure::direction::Directions;
use causeway_lab::measure::{capture, iperf, probe};
use causeway_lab::{Encapsulation, Family, Inner, Lab, Options, Site};

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

fn lab(inner: Inner, outer: Family) -> Lab {
    let options = Options::new("/nonexistent/causeway", "/nonexistent/causeway-xdp.o");
    Lab::new(Options {
        gateways: 2,
        inner,
        outer,
        ..options
    })
    .unwrap()
}

/// A lab with the same inner and outer family. Without Causeway only the outer family crosses between the gateways.
fn plain(family: Family) -> Lab {
    let inner = match family {
        Family::Ipv4 => Inner::Ipv4,
        Family::Ipv6 => Inner::Ipv6,
    };
    lab(inner, family)
}

const SMALL: probe::Plan = probe::Plan {
    flows: 8,
    packets_per_flow: 100,
    rate: 5_000,
    payload: 200,
};

const LOAD: iperf::Load = iperf::Load {
    streams: 2,
    duration: 1,
    warm_up: 0,
    congestion: None,
    window: None,
};

/// Whether a datagram arrives at another machine, as expected. Waits long for one that should arrive.
fn passes(lab: &Lab, family: Family, from: Site, to: Site, expected: bool) -> bool {
    let bind = |site: Site| {
        let address = (site.address(family), 7000);
        lab.inside(site, || Ok(UdpSocket::bind(address)?)).unwrap()
    };
    let (sender, receiver) = (bind(from), bind(to));
    let limit = if expected { 10_000 } else { 300 };
    let limit = Some(Duration::from_millis(limit));
    receiver.set_read_timeout(limit).unwrap();
    // An ICMP error makes `send_to` or `recv` fail, and the datagram did not arrive.
    (0..3).any(|_| {
        sender.send_to(b"hello", (to.address(family), 7000)).is_ok()
            && receiver.recv(&mut [0; 16]).is_ok()
    })
}

#[test]
fn the_trunk_connects_only_gateways_and_only_in_the_outer_family() {
    for outer in FAMILIES {
        let lab = lab(Inner::Both, outer);
        for family in FAMILIES {
            let judge = |from, to, expected| {
                assert_eq!(passes(&lab, family, from, to, expected), expected);
            };
            judge(Site::host(1, 1), Site::host(1, 2), true);
            judge(Site::host(1, 1), Site::switch(1), true);
            let across = family == outer;
            judge(Site::gateway(1, 1), Site::gateway(2, 2), across);
            judge(Site::gateway(2, 1), Site::gateway(1, 1), across);

            judge(Site::host(1, 1), Site::host(2, 1), false);
            let namespace = lab.namespace(Site::host(1, 1));
            let (prefix, router) = match family {
                Family::Ipv4 => ("10.2.0.0/24", "10.1.0.1"),
                Family::Ipv6 => ("fd00:10:2::/64", "fd00:10:1::1"),
            };
            let output = Command::new("ip")
                .args(["-n", &namespace])
                .args(["route", "replace", prefix, "via", router])
                .output();
            assert!(output.unwrap().status.success());
            // Plaintext does not cross without the demux, not even with a route.
            judge(Site::host(1, 1), Site::host(2, 1), false);
        }
    }
}

#[test]
fn an_unused_family_is_absent() {
    for (family, other) in [(FAMILIES[0], FAMILIES[1]), (FAMILIES[1], FAMILIES[0])] {
        let lab = plain(family);
        let addresses = Command::new("ip")
            .args(["-n", &lab.namespace(Site::gateway(1, 1)), "-br"])
            .args(["address", "show", "cwlab0"])
            .output()
            .unwrap();
        let addresses = String::from_utf8(addresses.stdout).unwrap();
        let has = |family| addresses.contains(&format!("{}/", Site::gateway(1, 1).address(family)));
        assert!(has(family) && !has(other), "{addresses}");
    }
}

#[test]
fn the_capture_finds_plaintext() {
    for family in FAMILIES {
        let lab = plain(family);
        let trunk = capture::trunk(&lab, Site::gateway(1, 1), Site::gateway(2, 1)).unwrap();
        assert!(trunk.arrived().holds, "{}", trunk.arrived().figure);
        for encapsulation in [Encapsulation::Udp, Encapsulation::Esp] {
            let fact = trunk.encrypted(&Options {
                encapsulation,
                ..lab.options().clone()
            });
            assert!(!fact.holds, "{}", fact.figure);
        }
        // Every datagram contains the marker 32 times in each direction. TCP adds more.
        let least = 32 * (trunk.stream.udp_arrived + trunk.stream.udp_returned);
        assert!(trunk.census.markers > least, "{:?}", trunk.census);
        assert!(trunk.census.other > 0 && trunk.census.esp == 0);
    }
}

#[test]
fn the_marker_does_not_arrive_without_a_path() {
    let lab = lab(Inner::Both, Family::Ipv4);
    let trunk = capture::trunk(&lab, Site::host(1, 1), Site::host(2, 1)).unwrap();
    assert!(!trunk.arrived().holds, "{}", trunk.arrived().figure);
}

#[test]
fn the_probe_arrives_without_loss_on_a_plain_network() {
    for family in FAMILIES {
        let lab = plain(family);
        let probe = probe::run(&lab, Site::gateway(1, 1), Site::gateway(2, 1), &SMALL).unwrap();
        assert!(probe.fact("probe").holds, "{probe:?}");
        assert_eq!((probe.sent, probe.received), (800, 800));
    }
}

#[test]
fn the_probe_uses_both_families() {
    let lab = lab(Inner::Both, Family::Ipv4);
    let (from, to) = (Site::host(1, 1), Site::host(1, 2));
    let probe = probe::run(&lab, from, to, &SMALL).unwrap();
    assert_eq!((probe.sent, probe.received), (800, 800));
    // Both families are needed: between the gateways IPv6 does not pass, and the probe does not start.
    let (from, to) = (Site::gateway(1, 1), Site::gateway(2, 1));
    assert!(probe::run(&lab, from, to, &SMALL).is_err());
}

#[test]
fn the_probe_counts_packets_without_a_route_as_lost() {
    let lab = plain(Family::Ipv4);
    let probe = probe::run(&lab, Site::host(1, 1), Site::host(2, 1), &SMALL).unwrap();
    assert_eq!((probe.received, probe.lost), (0, probe.sent));
    assert!(!probe.fact("probe").holds);
}

#[test]
fn iperf_measures_both_directions_and_families() {
    let lab = lab(Inner::Both, Family::Ipv4);
    for directions in [Directions::There, Directions::Back, Directions::Both] {
        let (from, to) = (Site::host(1, 1), Site::host(1, 2));
        let tcp = iperf::run(&lab, from, to, LOAD, directions).unwrap();
        assert!(tcp.fact("tcp").holds, "{tcp:?}");
        assert_eq!(tcp.by_family.len(), 2);
        for throughput in tcp.by_family.values() {
            assert!(throughput.gbit_per_s > 0.05, "{throughput:?}");
        }
    }
}

#[test]
fn a_run_of_iperf_without_a_path_is_terminated_and_keeps_its_figures() {
    let lab = lab(Inner::Ipv4, Family::Ipv4);
    let load = iperf::Load {
        duration: 4,
        ..LOAD
    };
    let (from, to) = (Site::host(1, 1), Site::host(1, 2));
    let tcp = std::thread::scope(|scope| {
        let tcp = scope.spawn(|| iperf::run(&lab, from, to, load, Directions::Both));
        std::thread::sleep(Duration::from_millis(2_500));
        let switch = lab.namespace(Site::switch(1));
        let cut = ["-n", &switch, "link", "set", "cwlab-h1", "down"];
        assert!(Command::new("ip").args(cut).status().unwrap().success());
        tcp.join().unwrap().unwrap()
    });
    let fact = tcp.fact("tcp");
    assert!(tcp.total.cut_off && !fact.holds, "{tcp:?}");
    assert!(fact.figure.contains("did not end"), "{}", fact.figure);
    assert!(tcp.total.gbit_per_s > 0.01, "{tcp:?}");
    assert_eq!(tcp.total.streams, 4);
}
