//! `[rescale]`, the peer's demux and weights.

use std::net::IpAddr;
use std::time::Duration;

use causeway_api::status::Role;
use causeway_config::{HostFacts, NicFacts, Rescale};
use causeway_rescale::Weight;
use causeway_rescale::message::HoldTimeoutAction;

use super::{LOCAL, REMOTE, changed, keys, load, refused};

const AFTER: &str = "key-file = \"steering.key\"\n";

/// A file with `lines` in `[rescale]`, which start at line 10.
fn with(lines: &str) -> String {
    changed(REMOTE, AFTER, &format!("{AFTER}[rescale]\n{lines}\n"))
}

fn demux(address: &str) -> String {
    let name = "name = \"vpc-2\"\n";
    changed(REMOTE, name, &format!("{name}demux = \"{address}\"\n"))
}

#[test]
fn the_defaults_have_no_state_file_and_no_peer_demux() {
    let directory = keys();
    let config = load(directory.path(), REMOTE).unwrap();
    let plan = config.plan();
    assert_eq!(plan.rescale, Rescale::default());
    assert_eq!(
        (&plan.rescale.state, plan.rescale.hold_timeout_action),
        (&None, HoldTimeoutAction::Drop)
    );
    assert_eq!(plan.peerings[0].demux, None);
    assert!(
        plan.gateways
            .iter()
            .all(|gateway| gateway.weight == Weight::ONE)
    );
}

#[test]
fn all_settings_are_read() {
    let directory = keys();
    let text = with(
        "state = \"tables.json\"\nprobe-interval = 20\ndead-after = 300\nhold-packets = 100\n\
         hold-time = 250\nhold-timeout-action = \"send\"\nidle-time = 0\nbatch = 4096",
    );
    let text = changed(
        &text,
        "name = \"gateway-2\"\n",
        "name = \"gateway-2\"\nweight = 64\n",
    );
    let config = load(directory.path(), &text).unwrap();
    let warning = config.warnings()[0].to_string();
    assert!(
        warning.contains("rescale.hold-time: 250 ms is less than 600"),
        "{warning}"
    );
    let plan = config.plan();
    assert_eq!(
        plan.rescale,
        Rescale {
            state: Some(directory.path().join("tables.json")),
            probe_interval: Duration::from_millis(20),
            dead_after: Duration::from_millis(300),
            hold_packets: 100,
            hold_time: Duration::from_millis(250),
            hold_timeout_action: HoldTimeoutAction::Send,
            idle_time: Duration::ZERO,
            batch: 4096,
        }
    );
    assert_eq!(plan.gateways[1].weight.get(), 64);

    let config = load(directory.path(), &demux("10.3.0.100")).unwrap();
    let peer: IpAddr = "10.3.0.100".parse().unwrap();
    assert_eq!(config.plan().peerings[0].demux, Some(peer));
}

#[test]
fn invalid_settings_are_refused() {
    let directory = keys();
    for (line, message) in [
        (
            "state = \"\"",
            "rescale.state: expected the path of a file, got \"\"",
        ),
        (
            "state = \"kept/\"",
            "rescale.state: expected the path of a file, got \"kept/\"",
        ),
        (
            "probe-interval = 9",
            "rescale.probe-interval: expected 10 to 500 milliseconds, got 9",
        ),
        (
            "dead-after = 10001",
            "rescale.dead-after: expected 40 to 10000 milliseconds, got 10001",
        ),
        (
            "dead-after = 199",
            "rescale.dead-after: 199 ms is less than 4 probe intervals of 50 ms",
        ),
        (
            "hold-packets = 63",
            "rescale.hold-packets: expected 64 to 65536 packets, got 63",
        ),
        (
            "hold-time = 9",
            "rescale.hold-time: expected 10 to 10000 milliseconds, got 9",
        ),
        (
            "idle-time = 10001",
            "rescale.idle-time: expected 0 to 10000 milliseconds, got 10001",
        ),
        (
            "batch = 0",
            "rescale.batch: expected 1 to 4096 buckets, got 0",
        ),
    ] {
        refused(load(directory.path(), &with(line)), "10:", message);
    }
    for weight in ["0", "65", "300"] {
        let name = "name = \"gateway-2\"\n";
        let text = changed(REMOTE, name, &format!("{name}weight = {weight}\n"));
        let message = format!("gateway[1].weight: expected 1 to 64, got {weight}");
        refused(load(directory.path(), &text), "21:", &message);
    }
    for (address, message) in [
        (
            "10.4.0.100",
            "peering[0].demux: 10.4.0.100 is in none of this peering's prefixes",
        ),
        (
            "demux-2",
            "peering[0].demux: \"demux-2\" is not an IP address",
        ),
    ] {
        refused(load(directory.path(), &demux(address)), "12:", message);
    }
}

#[test]
fn a_gateway_without_a_peering_is_a_standby() {
    let directory = keys();
    let standby = changed(REMOTE, ", \"gateway-2\"]", "]");
    let config = load(directory.path(), &standby).unwrap();
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    assert_eq!(config.plan().peerings[0].gateways, [0]);

    let other = "[[gateway]]\nname = \"gateway-9\"\naddress = \"10.1.0.109\"\n\n[[gateway]]";
    let standby = changed(LOCAL, "[[gateway]]", other);
    let standby = changed(
        &standby,
        "gateways = [\"gateway-1\"]",
        "gateways = [\"gateway-9\"]",
    );
    let config = load(directory.path(), &standby).unwrap();
    assert_eq!(config.plan().gateways[1].workers[0].tunnels[0].peering, 0);
}

#[test]
fn only_a_demux_has_a_peer_demux() {
    let directory = keys();
    let name = "name = \"vpc-2\"\n";
    let text = changed(LOCAL, name, &format!("{name}demux = \"10.2.0.100\"\n"));
    let config = load(directory.path(), &text).unwrap();
    config.for_role(Role::Demux).unwrap();
    let message = "peering[0].demux: is a setting of a demux";
    refused(config.for_role(Role::Gateway), "16:", message);
}

#[test]
fn markers_need_a_source_address_in_the_vpc() {
    let directory = keys();
    let facts = |addresses: &[&str]| HostFacts {
        nic: NicFacts::Present {
            up: true,
            mtu: 1500,
            rx_queues: 1,
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            xdp_program: None,
        },
        cores: vec![0],
        open_files: Some(4096),
        listen: None,
        role_runs: false,
    };
    let config = load(directory.path(), &demux("10.3.0.100")).unwrap();
    config.for_host(&facts(&["10.1.0.100/24"])).unwrap();
    let message = "peering[0].demux: eth0 has no IPv4 address in vpc.prefixes";
    let outside = facts(&["10.1.1.100/16", "fd00:1::100/64"]);
    refused(config.for_host(&outside), "12:", message);
}
