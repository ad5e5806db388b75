//! Addresses and prefixes of both families, and combinations that are refused.

use causeway_config::{ConfigError, HostFacts, NicFacts, Problem};

use super::{LOCAL, REMOTE, changed, keys, load, refused};

/// [`LOCAL`] over IPv6, for prefixes of both families.
fn over_ipv6() -> String {
    let mut text = LOCAL.to_owned();
    for (from, to) in [
        ("\"10.1.0.0/24\"", "\"10.1.0.0/24\", \"fd00:1::/64\""),
        ("\"10.2.0.0/24\"", "\"10.2.0.0/24\", \"fd00:2::/64\""),
        ("\"10.1.0.101\"", "\"fd00:1::101\""),
        ("\"10.2.0.101\"", "\"fd00:2::101\""),
        ("\"10.2.0.101\"", "\"fd00:2::101\""),
    ] {
        text = changed(&text, from, to);
    }
    text
}

fn judge(text: &str, mtu: u32, addresses: &[&str]) -> Result<Vec<Problem>, ConfigError> {
    let facts = HostFacts {
        nic: NicFacts::Present {
            up: true,
            mtu,
            rx_queues: 2,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            xdp_program: None,
        },
        cores: vec![0, 1],
        open_files: Some(4096),
        listen: None,
        role_runs: false,
    };
    let directory = keys();
    load(directory.path(), text).unwrap().for_host(&facts)
}

const LINK_LOCAL: &str = "fe80::1/64";

#[test]
fn both_families_become_a_plan() {
    let directory = keys();
    let config = load(directory.path(), &over_ipv6()).unwrap();
    let plan = config.plan();
    let texts = |prefixes: &[ipnet::IpNet]| -> Vec<_> {
        prefixes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(texts(&plan.vpc_prefixes), ["10.1.0.0/24", "fd00:1::/64"]);
    assert_eq!(
        texts(&plan.peerings[0].prefixes),
        ["10.2.0.0/24", "fd00:2::/64"]
    );
    assert_eq!(plan.gateways[0].address.to_string(), "fd00:1::101");
    let peers = plan
        .workers()
        .map(|(_, worker)| worker.tunnels[0].peer.to_string());
    assert_eq!(peers.collect::<Vec<_>>(), ["fd00:2::101"; 2]);
    assert_eq!(
        judge(
            &over_ipv6(),
            1500,
            &["10.1.0.10/24", LINK_LOCAL, "fd00:1::101/64"]
        )
        .unwrap(),
        []
    );
}

#[test]
fn the_ends_of_a_tunnel_are_of_one_family() {
    let directory = keys();
    refused(
        load(
            directory.path(),
            &changed(LOCAL, "\"10.2.0.101\"", "\"fd00:2::101\""),
        ),
        "30:",
        "gateway[0].worker[0].tunnel[0].peer: fd00:2::101 and the gateway's own address 10.1.0.101 are of different families; the ends of a tunnel must be both IPv4 or both IPv6",
    );
}

#[test]
fn addresses_that_no_gateway_can_have_are_refused() {
    let directory = keys();
    for (address, why) in [
        ("fe80::1", "a link-local address is valid only on its link"),
        (
            "169.254.7.1",
            "a link-local address is valid only on its link",
        ),
        (
            "::ffff:10.1.0.101",
            "an IPv4-mapped address does not occur on the wire; write the IPv4 address",
        ),
        ("ff02::1", "expected a unicast address"),
        ("::1", "expected a unicast address"),
        ("::", "expected a unicast address"),
        ("255.255.255.255", "expected a unicast address"),
        ("127.0.0.1", "expected a unicast address"),
    ] {
        refused(
            load(directory.path(), &changed(REMOTE, "10.1.0.101", address)),
            "17:",
            &format!(
                "gateway[0].address: {address} cannot be the address of a gateway or demux: {why}"
            ),
        );
    }
    refused(
        load(
            directory.path(),
            &changed(LOCAL, "\"10.2.0.101\"", "\"fe80::2\""),
        ),
        "30:",
        "gateway[0].worker[0].tunnel[0].peer: fe80::2 cannot be the address of a gateway or demux: a link-local address",
    );
}

#[test]
fn prefixes_that_no_tunnel_can_carry_are_refused() {
    let directory = keys();
    for (prefix, why) in [
        (
            "fe80::/64",
            "is link-local; link-local packets do not leave their link",
        ),
        (
            "ff0e::/16",
            "is multicast; tunnels carry only unicast packets",
        ),
        (
            "::ffff:10.0.0.0/104",
            "is IPv4-mapped; such addresses do not occur on the wire: write the IPv4 prefix",
        ),
    ] {
        refused(
            load(directory.path(), &changed(REMOTE, "10.3.0.0/16", prefix)),
            "12:",
            &format!("peering[0].prefixes[1]: {prefix} {why}"),
        );
    }
    for (prefix, message) in [
        (
            "fd00:2::1/64",
            "fd00:2::1/64 has host bits set; did you mean fd00:2::/64?",
        ),
        (
            "fd00:2::/129",
            "\"fd00:2::/129\" is not an IP prefix; write it as \"10.1.0.0/24\" or \"fd00:1::/64\"",
        ),
        (
            "10.2.0.0/24\", \"fd00::/8\", \"fd00:2::/64",
            "fd00:2::/64 overlaps fd00::/8 of peering",
        ),
    ] {
        let loaded = load(
            directory.path(),
            &changed(REMOTE, "10.2.0.0/24\", \"10.3.0.0/16", prefix),
        );
        let error = loaded.expect_err(message).to_string();
        assert!(error.contains(message), "expected {message}\ngot {error}");
    }
    for prefix in ["2000::/3", "::/0"] {
        load(directory.path(), &changed(REMOTE, "10.3.0.0/16", prefix)).unwrap();
    }
}

/// RFC 8200 section 5: an IPv6 sender may send 1280 octets without path MTU discovery.
#[test]
fn the_mtu_must_carry_ipv6() {
    let inside = changed(LOCAL, "\"10.2.0.0/24\"", "\"10.2.0.0/24\", \"fd00:2::/64\"");
    let outside = {
        let text = changed(LOCAL, "10.1.0.101", "fd00:1::101");
        text.replace("10.2.0.101", "fd00:2::101")
    };
    for (text, least, needed) in [
        (&inside, 1280, 1345),
        (&outside, 576, 661),
        (&over_ipv6(), 1280, 1365),
    ] {
        let addresses = ["10.1.0.101/24", "fd00:1::101/64", LINK_LOCAL];
        judge(text, needed, &addresses).unwrap();
        refused(
            judge(text, needed - 1, &addresses),
            "2:",
            &format!(
                "nic.name: the MTU of eth0 is {}; a packet of {least} bytes in a tunnel needs at least {needed}. Try: ip link set dev eth0 mtu {needed}",
                needed - 1
            ),
        );
    }
}

#[test]
fn a_gateway_needs_an_address_of_each_family() {
    let inside = changed(LOCAL, "\"10.1.0.0/24\"", "\"10.1.0.0/24\", \"fd00:1::/64\"");
    let message = |family, prefix| {
        format!(
            "vpc.prefixes: eth0 has no {family} address, but {prefix} is an {family} prefix; a gateway sends ICMP errors"
        )
    };
    refused(
        judge(&inside, 1500, &["10.1.0.101/24", LINK_LOCAL]),
        "9:",
        &message("IPv6", "fd00:1::/64"),
    );
    judge(
        &inside,
        1500,
        &["10.1.0.101/24", "fd00:1::5/64", LINK_LOCAL],
    )
    .unwrap();
    refused(
        judge(&over_ipv6(), 1500, &["fd00:1::101/64", LINK_LOCAL]),
        "9:",
        &message("IPv4", "10.1.0.0/24"),
    );
    // A demux without workers sends no ICMP errors.
    let demux = changed(
        REMOTE,
        "\"10.1.0.0/24\"",
        "\"10.1.0.0/24\", \"fd00:1::/64\"",
    );
    judge(&demux, 1500, &["10.1.0.10/24"]).unwrap();
    refused(
        judge(REMOTE, 1500, &[LINK_LOCAL]),
        "2:",
        "nic.name: eth0 has only link-local addresses; try",
    );
}

#[test]
fn ipv6_neighbour_discovery_needs_a_link_local_address() {
    let message =
        "nic.name: eth0 has no IPv6 link-local address, which the kernel needs to find neighbours";
    let inside = changed(LOCAL, "\"10.1.0.0/24\"", "\"10.1.0.0/24\", \"fd00:1::/64\"");
    let demux = changed(REMOTE, "10.1.0.102", "fd00:1::102");
    let gateway = ["10.1.0.101/24", "fd00:1::101/64"];
    for (text, addresses) in [
        (&inside, gateway),
        (&over_ipv6(), gateway),
        (&demux, ["10.1.0.10/24", "fd00:1::10/64"]),
    ] {
        refused(judge(text, 1500, &addresses), "2:", message);
        judge(text, 1500, &[&addresses[..], &[LINK_LOCAL]].concat()).unwrap();
    }
    // An IPv4 link-local address does not count.
    let addresses = ["10.1.0.101/24", "fd00:1::5/64", "169.254.1.1/16"];
    refused(judge(&inside, 1500, &addresses), "2:", message);
}

#[test]
fn a_remote_gateway_over_ipv6_is_on_the_link() {
    let demux = changed(REMOTE, "10.1.0.102", "fd00:1::102");
    judge(&demux, 1500, &["10.1.0.10/24", "fd00:1::10/64", LINK_LOCAL]).unwrap();
    // RFC 5942: an address without a subnet does not determine which addresses are on the link.
    judge(
        &demux,
        1500,
        &["10.1.0.10/24", "fd00:1::10/128", LINK_LOCAL],
    )
    .unwrap();
    refused(
        judge(&demux, 1500, &["10.1.0.10/24", LINK_LOCAL, "fd00:9::10/64"]),
        "21:",
        "gateway[1].address: fd00:1::102 is outside 10.1.0.0/24, fd00:9::/64, the subnet of eth0;",
    );
    refused(
        judge(
            &changed(&over_ipv6(), "\"fd00:1::101\"", "\"fd00:1::103\""),
            1500,
            &["10.1.0.10/24", "fd00:1::101/64"],
        ),
        "22:",
        "gateway[0].address: fd00:1::103 is not an address of eth0 (it has 10.1.0.10/24, fd00:1::101/64); packets from the peer would not arrive. Try: ip address add fd00:1::103/128 dev eth0",
    );
    refused(
        judge(
            &changed(REMOTE, "10.3.0.0/16", "fd00::/16"),
            1500,
            &["10.1.0.10/24", "fd00:1::10/64"],
        ),
        "12:",
        "peering[0].prefixes: fd00::/16 contains fd00:1::10, an address of eth0",
    );
}
