//! The command itself, by a configuration and without a role.

use std::process::Output;

use causeway::state::StateFile;
use causeway_rescale::coordinator::State;
use causeway_rescale::{Change, Table, Weight};

use super::binary::causeway;
use super::captures::pcap;
use super::support::Directory;

const DEMUX: &str = r#"[nic]
name = "no-such-nic"
[vpc]
prefixes = ["10.1.0.0/24"]
[steering]
key-file = "steering.key"
[[peering]]
name = "vpc-2"
prefixes = ["10.2.0.0/24", "10.3.0.0/16"]
gateways = ["gateway-1", "gateway-2"]
[[gateway]]
name = "gateway-1"
address = "10.1.0.101"
[[gateway]]
name = "gateway-2"
address = "10.1.0.102"
"#;
const KEY: &str = "000102030405060708090a0b0c0d0e0f\n";

fn prepared() -> Directory {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let key = directory.file("steering.key");
    std::fs::write(&key, KEY).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(directory.file("demux.toml"), DEMUX).unwrap();
    directory
}

fn explain(directory: &Directory, arguments: &[&str]) -> Output {
    causeway(directory, &[&["explain"], arguments].concat())
}

/// What it says after success.
fn said(directory: &Directory, arguments: &[&str]) -> String {
    let output = explain(
        directory,
        &[&["--config", "demux.toml"], arguments].concat(),
    );
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_flow_is_told_in_both_directions() {
    let directory = prepared();
    let text = said(&directory, &["10.1.0.5:1234 > 10.2.0.7:443 tcp"]);
    for phrase in [
        "by the tables that demux.toml makes; no-such-nic is not on this host",
        "10.2.0.7 is of peering vpc-2, by its prefix 10.2.0.0/24",
        "whose MAC address a role asks for when it runs",
        "the answer, 10.2.0.7:443 > 10.1.0.5:1234 tcp: the peer's demux, by the same table, gives it to gateway-",
    ] {
        assert!(text.contains(phrase), "no {phrase:?} in\n{text}");
    }
    let json = said(&directory, &["--json", "10.1.0.5:1234 > 10.2.0.7:443 tcp"]);
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    let bucket = |steps: &serde_json::Value| {
        let steps = steps.as_array().unwrap();
        let step = steps.iter().find(|step| step["step"] == "bucket").unwrap();
        step["bucket"].as_u64().unwrap()
    };
    assert_eq!(bucket(&told["steps"]), bucket(&told["answer"]["steps"]));
    assert_eq!(told["answer"]["at-peer"], true);
    assert_eq!(
        told["end"]["sent"]["gateway"],
        told["answer"]["end"]["sent"]["gateway"]
    );
    assert_eq!(
        told["counter"],
        "causeway_steering_to_gateway_packets_total"
    );
    // What goes back has an SA of its own.
    let esp = said(&directory, &["10.2.0.101 > 10.9.0.1 esp spi 4097"]);
    assert!(!esp.contains("the answer"), "{esp}");
    // Asked the other way round, this demux steers the answer.
    let turned = said(&directory, &["10.2.0.7:443 > 10.1.0.5:1234 tcp"]);
    assert!(turned.contains("kernel, no-peering"), "{turned}");
    assert!(
        turned.contains("\nthe answer, 10.1.0.5:1234 > 10.2.0.7:443 tcp\n"),
        "{turned}"
    );
}

/// What was kept of changes at run time counts, and asking takes it from nobody.
#[test]
fn the_state_file_is_heeded() {
    let directory = prepared();
    let configuration = DEMUX.replace("gateways = [", "demux = \"10.2.0.100\"\ngateways = [");
    let configuration = configuration + "[rescale]\nstate = \"tables.json\"\n";
    std::fs::write(directory.file("demux.toml"), configuration).unwrap();
    let ask = || said(&directory, &["10.1.0.5:1234 > 10.2.0.7:443 tcp"]);
    assert!(ask().contains("epoch 0, digest "), "{}", ask());

    let cluster = ["gateway-1", "gateway-2"].map(|name| (name.to_owned(), Weight::ONE));
    let table = Table::new(cluster).unwrap();
    for drained in ["gateway-1", "gateway-2"] {
        let name = drained.to_owned();
        let planned = table.change(&Change::Drain { name }, None).unwrap();
        let state = State {
            table: planned.table,
            under_way: None,
        };
        let mut file = StateFile::open(&directory.file("tables.json")).unwrap();
        file.store("vpc-2", state).unwrap();
        // The role that has the file still runs.
        let text = ask();
        assert!(text.contains("epoch 1, digest "), "{text}");
        assert!(!text.contains(drained), "{text}");
    }
    std::fs::write(directory.file("tables.json"), "{").unwrap();
    let output = explain(&directory, &["--config", "demux.toml", "00"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("tables.json"), "{stderr}");
}

#[test]
fn a_frame_in_hex_is_told() {
    let directory = prepared();
    let arp = [
        "ff".repeat(6),
        "02".repeat(6),
        "0806".to_owned(),
        "00".repeat(28),
    ]
    .concat();
    let text = said(&directory, &[&arp]);
    assert!(text.contains("given to the kernel, arp"), "{text}");
    let short = said(&directory, &["0200"]);
    assert!(short.contains("dropped, ethernet-truncated"), "{short}");
}

#[test]
fn a_file_has_a_line_for_each_packet_and_one_in_full() {
    let directory = prepared();
    let flow: causeway::explain::flow::Flow = "10.1.0.5:1 > 10.3.9.9:2 udp".parse().unwrap();
    let frame = [&[2; 12][..], &[8, 0], &flow.packet()].concat();
    let length = frame.len() as u32;
    let packets = [
        (&frame[..], length),
        (&[0; 20], 70_000),
        (&frame[..20], length),
    ];
    let file = pcap(u32::to_le_bytes, 1, &packets);
    std::fs::write(directory.file("a.pcap"), file).unwrap();
    let text = said(&directory, &["a.pcap"]);
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
    let full = said(&directory, &["a.pcap", "--packet", "1"]);
    assert!(full.contains("by its prefix 10.3.0.0/16"), "{full}");
    let cut = said(&directory, &["a.pcap", "--packet", "3"]);
    assert!(cut.contains("the first 20 of its 42 octets"), "{cut}");
    let json = said(&directory, &["a.pcap", "--json"]);
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
    assert_eq!(stderr, "a.pcap has 3 packets, and no packet 4\n");
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let directory = prepared();
    let refused = |arguments: &[&str]| {
        let output = explain(&directory, arguments);
        assert!(output.stdout.is_empty(), "{output:?}");
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, said) = refused(&["10.1.0.5:1234 > 10.2.0.7:443 tcp"]);
    assert!(code == Some(1) && said.contains("no role serves"), "{said}");
    for (arguments, code, words) in [
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
        (&["10.1.0.5 > 10.2.0.7 tcp"], 2, "both ends of tcp"),
        (&["000"], 2, "pairs of hex digits"),
        (&[], 2, "PACKET"),
    ] {
        let (status, said) = refused(arguments);
        assert_eq!(status, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
