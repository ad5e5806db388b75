//! Invalid configurations. Each is refused with a line and a message.

use super::{LOCAL, REMOTE, changed, keys, load, refused};

/// A valid configuration, a change of it, and the line and message of the error.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

fn all_refused(cases: &[Case]) {
    let directory = keys();
    for (good, from, to, line, message) in cases {
        let bad = changed(good, from, to);
        refused(load(directory.path(), &bad), line, message);
    }
}

#[test]
fn schema_violations_are_refused() {
    all_refused(&[
        (
            REMOTE,
            "[vpc]",
            "[vpc",
            "4:5:",
            "unclosed table, expected `]`",
        ),
        (
            REMOTE,
            "name = \"eth0\"",
            "nam = \"eth0\"",
            "2:1:",
            "nic: unknown field `nam`, expected `name` or `mode`",
        ),
        (
            REMOTE,
            "name = \"eth0\"",
            "name = 7",
            "2:8:",
            "nic.name: invalid type: integer `7`, expected a string",
        ),
        (
            LOCAL,
            "\"skb\"",
            "\"fast\"",
            "3:8:",
            "nic.mode: unknown variant `fast`, expected one of `auto`, `driver`, `skb`",
        ),
        (
            LOCAL,
            "[steering]",
            "[crypto]\nbackend = \"openssl\"\n[steering]",
            "12:11:",
            "crypto.backend: unknown variant `openssl`, expected one of `auto`, `rustcrypto`, `aws-lc`, `ipsec-mb`",
        ),
        (
            LOCAL,
            "spi = 4097, ",
            "",
            "34:12:",
            "gateway.worker.tunnel.outbound: missing field `spi`",
        ),
        (
            LOCAL,
            "spi = 4097",
            "spi = 4294967296",
            "34:",
            "gateway[0].worker[0].tunnel[0].outbound.spi: expected 256 to 4294967295, got 4294967296; 0 to 255 are reserved",
        ),
        (
            LOCAL,
            "core = 0",
            "cores = 0",
            "25:1:",
            "gateway.worker: unknown field `cores`, expected one of `core`, `spin`, `tunnel`",
        ),
    ]);
}

#[test]
fn values_are_refused() {
    all_refused(&[
        (
            REMOTE,
            "[vpc]",
            "[vpc]\ncluster = \"the east\"",
            "5:",
            "vpc.cluster: \"the east\" is not a valid name: expected 1 to 63 letters, digits, '-', '_' or '.'",
        ),
        (
            LOCAL,
            "clamp-mss = true",
            "path-mtu-age = 86401",
            "18:",
            "peering[0].path-mtu-age: expected 0 to 86400 seconds, got 86401; with 0, ICMP errors from the path are ignored",
        ),
        (
            REMOTE,
            "\"eth0\"",
            "\"a/b\"",
            "2:",
            "nic.name: \"a/b\" cannot be an interface's name",
        ),
        (
            LOCAL,
            "127.0.0.1:9464",
            "localhost",
            "6:",
            "http.listen: \"localhost\" is not an address and a port; write it as \"127.0.0.1:9464\"",
        ),
        (
            REMOTE,
            "\"10.1.0.0/24\"",
            "\"10.1.0.0/33\"",
            "5:",
            "vpc.prefixes[0]: \"10.1.0.0/33\" is not an IP prefix",
        ),
        (
            REMOTE,
            "\"10.1.0.0/24\"",
            "\"10.1.0.7/24\"",
            "5:",
            "vpc.prefixes[0]: 10.1.0.7/24 has host bits set; did you mean 10.1.0.0/24?",
        ),
        (
            REMOTE,
            "\"10.1.0.0/24\"",
            "",
            "5:",
            "vpc.prefixes: is empty",
        ),
        (
            REMOTE,
            "\"10.1.0.101\"",
            "\"gateway-1.example\"",
            "17:",
            "gateway[0].address: \"gateway-1.example\" is not an IP address",
        ),
        (
            REMOTE,
            "\"10.1.0.101\"",
            "\"224.0.0.1\"",
            "17:",
            "gateway[0].address: 224.0.0.1 cannot be the address of a gateway or demux",
        ),
    ]);
}

#[test]
fn prefixes_are_refused() {
    all_refused(&[
        (
            REMOTE,
            "10.3.0.0/16",
            "10.1.0.0/16",
            "12:",
            "peering[0].prefixes[1]: 10.1.0.0/16 overlaps 10.1.0.0/24 of [vpc] (line 5)",
        ),
        (
            REMOTE,
            "10.3.0.0/16",
            "10.2.0.0/24",
            "12:",
            "peering[0].prefixes[1]: 10.2.0.0/24 overlaps 10.2.0.0/24 of peering \"vpc-2\" (line 12)",
        ),
        (
            REMOTE,
            "[[gateway]]",
            "[[peering]]\nname = \"vpc-3\"\nprefixes = [\"10.3.7.0/24\"]\ngateways = [\"gateway-2\"]\n[[gateway]]",
            "17:",
            "peering[1].prefixes[0]: 10.3.7.0/24 overlaps 10.3.0.0/16 of peering \"vpc-2\" (line 12); prefixes must not overlap",
        ),
    ]);
}

#[test]
fn names_and_clusters_are_refused() {
    all_refused(&[
        (
            REMOTE,
            "name = \"gateway-2\"",
            "name = \"gateway-1\"",
            "20:",
            "gateway[1].name: \"gateway-1\" is already the name of gateway[0] (line 16)",
        ),
        (
            REMOTE,
            "name = \"vpc-2\"",
            "name = \"vpc 2\"",
            "11:",
            "peering[0].name: \"vpc 2\" is not a valid name",
        ),
        (
            REMOTE,
            "\"gateway-2\"]",
            "\"gateway-3\"]",
            "13:",
            "peering[0].gateways[1]: there is no gateway \"gateway-3\"; there are: gateway-1, gateway-2",
        ),
        (
            REMOTE,
            "\"gateway-2\"]",
            "\"gateway-1\"]",
            "13:",
            "peering[0].gateways[1]: \"gateway-1\" is listed twice",
        ),
        (
            REMOTE,
            "\"gateway-1\", \"gateway-2\"",
            "",
            "13:",
            "peering[0].gateways: is empty; name the gateways",
        ),
        (
            REMOTE,
            "10.1.0.102",
            "10.1.0.101",
            "21:",
            "gateway[1].address: 10.1.0.101 is already the address of another gateway (line 17)",
        ),
        (
            REMOTE,
            "address = \"10.1.0.102\"\n",
            "",
            "19:",
            "gateway[1]: has neither an address nor workers",
        ),
        (
            LOCAL,
            "address = \"10.1.0.101\"\n",
            "",
            "20:",
            "gateway[0]: has workers but no address",
        ),
    ]);
}

/// One case is a worker without an SA for a peering's traffic.
/// Standard: fallback-sa
#[test]
fn workers_and_tunnels_are_refused() {
    all_refused(&[
        (
            LOCAL,
            "peering = \"vpc-2\"",
            "peering = \"vpc-3\"",
            "29:",
            "gateway[0].worker[0].tunnel[0].peering: there is no peering \"vpc-3\"; there are: vpc-2",
        ),
        (
            LOCAL,
            "peering = \"vpc-2\"",
            "peering = \"vpc-3\"",
            "24:",
            "gateway[0].worker[0]: has no tunnel for peering \"vpc-2\", which its gateway serves",
        ),
        (
            LOCAL,
            "[[gateway.worker]]\n\n",
            "",
            "38:",
            "gateway[0].worker[0].tunnel[1].peering: this worker already has a tunnel for \"vpc-2\"",
        ),
        (
            LOCAL,
            "[[gateway]]",
            "[[peering]]\nname = \"vpc-3\"\nprefixes = [\"10.3.0.0/16\"]\ngateways = [\"gateway-1\"]\n[[gateway]]",
            "28:",
            "gateway[0].worker[0]: has no tunnel for peering \"vpc-3\", which its gateway serves",
        ),
        (
            LOCAL,
            "peer = \"10.2.0.101\"",
            "peer = \"10.1.0.101\"",
            "30:",
            "gateway[0].worker[0].tunnel[0].peer: is the gateway's own address",
        ),
        (
            LOCAL,
            "source-port = 4501",
            "source-port = 0",
            "32:",
            "gateway[0].worker[0].tunnel[0].source-port: expected 1 to 65535, got 0",
        ),
        (
            LOCAL,
            "\"esp\"",
            "\"esp\"\nsource-port = 4500",
            "43:",
            "gateway[0].worker[1].tunnel[0].source-port: ESP without UDP has no port",
        ),
    ]);
}

#[test]
fn spis_are_refused() {
    all_refused(&[
        (
            LOCAL,
            "spi = 4097",
            "spi = 0",
            "34:",
            "gateway[0].worker[0].tunnel[0].outbound.spi: expected 256 to 4294967295, got 0; 0 to 255 are reserved (RFC 4303 section 2.1)",
        ),
        (
            LOCAL,
            "spi = 8193",
            "spi = 255",
            "35:",
            "gateway[0].worker[0].tunnel[0].inbound.spi: expected 256 to 4294967295, got 255",
        ),
        (
            LOCAL,
            "spi = 8194",
            "spi = 8193",
            "44:",
            "gateway[0].worker[1].tunnel[0].inbound.spi: 8193 is already an inbound SPI of this host (line 35)",
        ),
        (
            LOCAL,
            "spi = 4098",
            "spi = 4097",
            "43:",
            "gateway[0].worker[1].tunnel[0].outbound.spi: 4097 is already an SPI towards 10.2.0.101 (line 34)",
        ),
    ]);
}

/// Each number of the file, and a line in which it can stand.
#[test]
fn a_number_out_of_range_names_the_range() {
    let directory = keys();
    let tunnel = "replay-window = 1024\n";
    for (key, after, least, most) in [
        ("core", "[[gateway.worker]]\n", "0", "1023"),
        ("weight", "name = \"gateway-1\"\n", "1", "64"),
        ("path-mtu-age", "clamp-mss = true\n", "0", "86400"),
        ("source-port", tunnel, "1", "65535"),
        ("replay-window", tunnel, "64", "16384"),
        ("tfc-pad-to", tunnel, "1", "3498"),
        ("dummy-interval", tunnel, "1", "3600000"),
    ] {
        for value in ["-1", "9223372036854775807"] {
            // The key may be in the fixture already.
            let written = LOCAL
                .lines()
                .filter(|line| !line.starts_with(&format!("{key} = ")));
            let text = written.map(|line| format!("{line}\n")).collect::<String>();
            let after = if text.contains(after) {
                after
            } else {
                "source-port = 4501\n"
            };
            let text = changed(&text, after, &format!("{after}{key} = {value}\n"));
            let error = load(directory.path(), &text).unwrap_err().to_string();
            let range = format!("{key}: expected {least} to {most}");
            assert!(
                error.contains(&range) && error.contains(&format!("got {value}")),
                "{error}"
            );
        }
    }
    for (limit, value) in [("seconds", "-1"), ("bytes", "0"), ("packets", "-5")] {
        let lifetime = format!("{tunnel}lifetime = {{ hard = {{ {limit} = {value} }} }}\n");
        let error = load(directory.path(), &changed(LOCAL, tunnel, &lifetime)).unwrap_err();
        let message = format!("hard.{limit}: expected at least 1, got {value}");
        assert!(error.to_string().contains(&message), "{error}");
    }
}

#[test]
fn addresses_that_no_host_has_are_refused() {
    for demux in ["10.2.0.0", "10.2.0.255"] {
        let after = "gateways = [\"gateway-1\", \"gateway-2\"]\n";
        let text = changed(REMOTE, after, &format!("{after}demux = \"{demux}\"\n"));
        let message =
            format!("peering[0].demux: {demux} is the network or broadcast address of 10.2.0.0/24");
        refused(load(keys().path(), &text), "14:", &message);
    }
}

/// They are valid, so a start does not fail.
#[test]
fn doubtful_values_are_warnings() {
    let directory = keys();
    let warnings = |text: &str| {
        let config = load(directory.path(), text).unwrap();
        config
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let far = LOCAL.replace("10.2.0.101", "203.0.113.1");
    assert_eq!(warnings(&far), "");
    let in_peering = warnings(LOCAL);
    assert!(in_peering.contains(":30: gateway[0].worker[0].tunnel[0].peer: 10.2.0.101 is in 10.2.0.0/24, a prefix of a peering"), "{in_peering}");
    let in_vpc = warnings(&LOCAL.replace("10.2.0.101", "10.1.0.99"));
    assert!(
        in_vpc.contains("10.1.0.99 is in 10.1.0.0/24, a prefix of this VPC"),
        "{in_vpc}"
    );
    for (all, told) in [
        ("0.0.0.0:9464", "127.0.0.1:9464"),
        ("[::]:80", "127.0.0.1:80"),
    ] {
        let text = warnings(&changed(&far, "127.0.0.1:9464", all));
        assert!(
            text.contains("http.listen: ") && text.ends_with(told),
            "{text}"
        );
    }
}

#[test]
fn one_run_reports_all_errors_in_the_order_of_the_file() {
    let directory = keys();
    let bad = changed(REMOTE, "10.1.0.102", "10.1.0.101");
    let bad = changed(&bad, "\"eth0\"", "\"\"");
    let bad = changed(&bad, "\"gateway-2\"]", "\"gateway-3\"]");
    let error = load(directory.path(), &bad).unwrap_err().to_string();
    let lines: Vec<_> = error
        .lines()
        .map(|line| line.split(':').nth(1).unwrap())
        .collect();
    assert_eq!(lines, ["2", "13", "21"], "{error}");
}
