//! The command with a configuration, without a running role.

use std::process::Output;

use causeway_node::state::StateFile;
use causeway_rescale::coordinator::State;
use causeway_rescale::{Change, Table, Weight};
use tempfile::TempDir;

use super::binary::{causeway, demux, prepared};
use super::captures::pcap;

fn explain(directory: &TempDir, arguments: &[&str]) -> Output {
    causeway(directory, &[&["explain"], arguments].concat())
}

/// The text on stdout after success.
fn explained(directory: &TempDir, arguments: &[&str]) -> String {
    let output = explain(
        directory,
        &[&["--config", "demux.toml"], arguments].concat(),
    );
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_flow_is_explained_in_both_directions() {
    let directory = prepared(&demux());
    let text = explained(&directory, &["10.1.0.5:1234 > 10.2.0.7:443 tcp"]);
    for phrase in [
        "tables from demux.toml; no-such-nic is not on this host",
        "10.2.0.7 belongs to peering vpc-2, prefix 10.2.0.0/24",
        "MAC address unknown: no role runs",
        "reply 10.2.0.7:443 > 10.1.0.5:1234 tcp: the peer's demux, with the same table, sends it to the peer of gateway-",
    ] {
        assert!(text.contains(phrase), "no {phrase:?} in\n{text}");
    }
    let json = explained(&directory, &["--json", "10.1.0.5:1234 > 10.2.0.7:443 tcp"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let bucket = |steps: &serde_json::Value| {
        let steps = steps.as_array().unwrap();
        let step = steps.iter().find(|step| step["step"] == "bucket").unwrap();
        step["bucket"].as_u64().unwrap()
    };
    assert_eq!(bucket(&report["steps"]), bucket(&report["answer"]["steps"]));
    assert_eq!(report["answer"]["at-peer"], true);
    assert_eq!(
        report["end"]["sent"]["gateway"],
        report["answer"]["end"]["sent"]["gateway"]
    );
    assert_eq!(
        report["counter"],
        "causeway_steering_to_gateway_packets_total"
    );
    // The other direction of ESP has its own SA.
    let esp = explained(&directory, &["10.2.0.101 > 10.9.0.1 esp spi 4097"]);
    assert!(!esp.contains("reply "), "{esp}");
    // If the peer's demux steers the flow, this demux steers the reply.
    let reverse = explained(&directory, &["10.2.0.7:443 > 10.1.0.5:1234 tcp"]);
    assert!(reverse.contains("kernel, no-peering"), "{reverse}");
    assert!(
        reverse.contains("\nreply 10.1.0.5:1234 > 10.2.0.7:443 tcp\n"),
        "{reverse}"
    );
}

/// The state file's table applies, and reading it does not lock out the role that writes it.
#[test]
fn the_state_file_decides_the_table() {
    let directory = prepared(&demux());
    let configuration = demux().replace("gateways = [", "demux = \"10.2.0.100\"\ngateways = [");
    let configuration = configuration + "[rescale]\nstate = \"tables.json\"\n";
    std::fs::write(directory.path().join("demux.toml"), configuration).unwrap();
    let text = || explained(&directory, &["10.1.0.5:1234 > 10.2.0.7:443 tcp"]);
    assert!(text().contains("epoch 0, digest "), "{}", text());

    let cluster = ["gateway-1", "gateway-2"].map(|name| (name.to_owned(), Weight::ONE));
    let table = Table::new(cluster).unwrap();
    for drained in ["gateway-1", "gateway-2"] {
        let name = drained.to_owned();
        let planned = table.change(&Change::Drain { name }, None).unwrap();
        let state = State {
            table: planned.table,
            under_way: None,
        };
        let mut file = StateFile::open(&directory.path().join("tables.json")).unwrap();
        file.store("vpc-2", state).unwrap();
        // `file` is open, as in a running role.
        let text = text();
        assert!(text.contains("epoch 1, digest "), "{text}");
        assert!(!text.contains(drained), "{text}");
    }
    std::fs::write(directory.path().join("tables.json"), "{").unwrap();
    let output = explain(&directory, &["--config", "demux.toml", "00"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("tables.json"), "{stderr}");
}

#[test]
fn a_frame_in_hex_is_explained() {
    let directory = prepared(&demux());
    let arp = [
        "ff".repeat(6),
        "02".repeat(6),
        "0806".to_owned(),
        "00".repeat(28),
    ]
    .concat();
    let text = explained(&directory, &[&arp]);
    assert!(text.contains("left to the kernel, arp"), "{text}");
    let short = explained(&directory, &["0200"]);
    assert!(short.contains("dropped, ethernet-truncated"), "{short}");
}

#[test]
fn a_capture_file_gets_a_line_per_packet_or_one_packet_in_full() {
    let directory = prepared(&demux());
    let flow: causeway::explain::flow::Flow = "10.1.0.5:1 > 10.3.9.9:2 udp".parse().unwrap();
    let frame = [&[2; 12][..], &[8, 0], &flow.packet()].concat();
    let length = frame.len() as u32;
    let packets = [
        (&frame[..], length),
        (&[0; 20], 70_000),
        (&frame[..20], length),
    ];
    let file = pcap(u32::to_le_bytes, 1, &packets);
    std::fs::write(directory.path().join("a.pcap"), file).unwrap();
    let text = explained(&directory, &["a.pcap"]);
    let lines: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with("     1  10.1.0.5:1 > 10.3.9.9:2 udp  "),
        "{text}"
    );
    assert!(
        lines[0].contains("bucket ") && lines[0].contains(", gateway-"),
        "{text}"
    );
    assert!(lines[1].contains("not explained: 70000 octets"), "{text}");
    let full = explained(&directory, &["a.pcap", "--packet", "1"]);
    assert!(full.contains("prefix 10.3.0.0/16"), "{full}");
    let cut = explained(&directory, &["a.pcap", "--packet", "3"]);
    assert!(cut.contains("the first 20 of 42 octets"), "{cut}");
    let json = explained(&directory, &["a.pcap", "--json"]);
    let objects: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 3);
    assert_eq!(objects[0]["packet"], 1);
    assert!(objects[1]["not-explained"].is_string());
    let none = explain(
        &directory,
        &["--config", "demux.toml", "a.pcap", "--packet", "4"],
    );
    assert_eq!(none.status.code(), Some(1));
    let stderr = String::from_utf8(none.stderr).unwrap();
    assert_eq!(stderr, "a.pcap has 3 packets, so there is no packet 4\n");
}

#[test]
fn invalid_arguments_are_refused() {
    let directory = prepared(&demux());
    let refused = |arguments: &[&str]| {
        let output = explain(&directory, arguments);
        assert!(output.stdout.is_empty(), "{output:?}");
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, stderr) = refused(&["10.1.0.5:1234 > 10.2.0.7:443 tcp"]);
    assert!(
        code == Some(1) && stderr.contains("no role serves"),
        "{stderr}"
    );
    for (arguments, code, expected) in [
        (&["--socket", "s", "00"][..], 1, "no role serves s"),
        (
            &["--config", "demux.toml", "none.pcap"],
            1,
            "cannot read none.pcap",
        ),
        (
            &["--config", "demux.toml", "demux.toml"],
            1,
            "is neither a pcap nor a pcapng file",
        ),
        (&["--config", "none.toml", "00"], 1, "none.toml"),
        (
            &["--config", "demux.toml", "--socket", "s", "00"],
            2,
            "cannot be used with",
        ),
        (&["10.1.0.5 > 10.2.0.7 tcp"], 2, "need a port at both ends"),
        (&["000"], 2, "pairs of hex digits"),
        (&[], 2, "PACKET"),
    ] {
        let (status, stderr) = refused(arguments);
        assert_eq!(status, Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}
