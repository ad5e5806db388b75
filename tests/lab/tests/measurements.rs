//! The measurements on a network without Causeway: what must pass passes, and
//! what they exist to find, they find. These tests need root.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use causeway_lab::measure::{capture, iperf, probe};
use causeway_lab::{Encapsulation, Lab, Options, Site};

fn lab() -> Lab {
    let options = Options::new("/nonexistent/causeway", "/nonexistent/causeway-xdp.o");
    Lab::new(Options {
        gateways: 2,
        ..options
    })
    .unwrap()
}

const SMALL: probe::Plan = probe::Plan {
    flows: 8,
    packets_per_flow: 100,
    rate: 5_000,
    payload: 200,
};

/// Whether a datagram gets from one machine to another.
fn passes(lab: &Lab, from: Site, to: Site) -> bool {
    let bind = |site: Site| lab.inside(site, || Ok(UdpSocket::bind((site.address(), 7000))?));
    let (sender, receiver) = (bind(from).unwrap(), bind(to).unwrap());
    let limit = Some(Duration::from_millis(300));
    receiver.set_read_timeout(limit).unwrap();
    // An ICMP error on the way back is an answer too: it did not pass.
    (0..3).any(|_| {
        sender.send_to(b"hello", (to.address(), 7000)).is_ok()
            && receiver.recv(&mut [0; 16]).is_ok()
    })
}

#[test]
fn the_trunk_joins_gateways_and_nothing_else() {
    let lab = lab();
    assert!(passes(&lab, Site::host(1, 1), Site::host(1, 2)));
    assert!(passes(&lab, Site::host(1, 1), Site::switch(1)));
    assert!(passes(&lab, Site::gateway(1, 1), Site::gateway(2, 2)));
    assert!(passes(&lab, Site::gateway(2, 1), Site::gateway(1, 1)));

    assert!(!passes(&lab, Site::host(1, 1), Site::host(2, 1)));
    let namespace = lab.namespace(Site::host(1, 1));
    let around = ["route", "replace", "10.2.0.0/24", "via", "10.1.0.1"];
    let output = Command::new("ip")
        .args(["-n", &namespace])
        .args(around)
        .output();
    assert!(output.unwrap().status.success());
    assert!(
        !passes(&lab, Site::host(1, 1), Site::host(2, 1)),
        "plaintext went around the demux"
    );
}

#[test]
fn the_capture_finds_plaintext_where_there_is_plaintext() {
    let lab = lab();
    let trunk = capture::trunk(&lab, Site::gateway(1, 1), Site::gateway(2, 1)).unwrap();
    assert!(trunk.arrived().holds, "{}", trunk.arrived().figure);
    for encapsulation in [Encapsulation::Udp, Encapsulation::Esp] {
        let fact = trunk.encrypted(encapsulation);
        assert!(!fact.holds, "{}", fact.figure);
    }
    // Every datagram holds it 32 times, there and back; TCP comes on top.
    let least = 32 * (trunk.stream.udp_arrived + trunk.stream.udp_returned);
    assert!(trunk.census.markers > least, "{:?}", trunk.census);
    assert!(trunk.census.other > 0 && trunk.census.esp == 0);
}

#[test]
fn the_marker_does_not_arrive_where_nothing_passes() {
    let lab = lab();
    let trunk = capture::trunk(&lab, Site::host(1, 1), Site::host(2, 1)).unwrap();
    assert!(!trunk.arrived().holds, "{}", trunk.arrived().figure);
}

#[test]
fn the_probe_arrives_whole_on_a_plain_network() {
    let lab = lab();
    let probe = probe::run(&lab, Site::gateway(1, 1), Site::gateway(2, 1), &SMALL).unwrap();
    assert!(probe.fact("probe").holds, "{probe:?}");
    assert_eq!((probe.sent, probe.received), (800, 800));
}

#[test]
fn the_probe_counts_what_nobody_forwards_as_lost() {
    let lab = lab();
    let probe = probe::run(&lab, Site::host(1, 1), Site::host(2, 1), &SMALL).unwrap();
    assert_eq!((probe.received, probe.lost), (0, probe.sent));
    assert!(!probe.fact("probe").holds);
}

#[test]
fn iperf_measures_both_directions() {
    let lab = lab();
    for reverse in [false, true] {
        let (from, to) = (Site::gateway(1, 1), Site::gateway(2, 1));
        let throughput = iperf::run(&lab, from, to, 2, 1, reverse).unwrap();
        assert!(throughput.fact("tcp").holds, "{throughput:?}");
        assert!(throughput.gbit_per_s > 0.05, "{throughput:?}");
    }
}
