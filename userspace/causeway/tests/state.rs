//! The file that keeps the tables: what a restart finds, and what it refuses.

mod support;

use std::path::Path;

use causeway::config::{Config, Plan};
use causeway::key;
use causeway::state::{StateError, StateFile, at_start};
use causeway_esp::Cipher;
use causeway_rescale::coordinator::{State, UnderWay};
use causeway_rescale::{Change, Ordinal, Table, Weight};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::Directory;

fn table(names: &[&str]) -> Table {
    Table::new(names.iter().map(|name| (name.to_string(), Weight::ONE))).unwrap()
}

fn resting(table: Table) -> State {
    State {
        table,
        under_way: None,
    }
}

/// Epoch 1 of two gateways, on its way to a third one.
fn changing() -> State {
    let change = |table: &Table, change: Change, address: Option<&str>| {
        let address = address.map(|text| text.parse().unwrap());
        table.change(&change, address).unwrap().table
    };
    let drain = Change::Drain {
        name: "gateway-1".into(),
    };
    let add = Change::Add {
        name: "gateway-3".into(),
        weight: Weight::new(2).unwrap(),
    };
    let table = change(&table(&["gateway-1", "gateway-2"]), drain, None);
    let next = change(&table, add, Some("10.1.0.103"));
    State {
        table,
        under_way: Some(UnderWay {
            table: next,
            begun: true,
        }),
    }
}

#[test]
fn a_restart_finds_what_was_stored() {
    let directory = Directory::new();
    let path = directory.file("state.json");
    let mut file = StateFile::open(&path).unwrap();
    assert_eq!(file.kept("vpc-2"), None);
    file.store("vpc-2", resting(table(&["a"]))).unwrap();
    file.store("vpc-3", resting(table(&["b", "c"]))).unwrap();
    file.store("vpc-2", changing()).unwrap();
    drop(file);
    let file = StateFile::open(&path).unwrap();
    assert_eq!(file.kept("vpc-2"), Some(&changing()));
    assert_eq!(file.kept("vpc-3"), Some(&resting(table(&["b", "c"]))));
    let next = &file
        .kept("vpc-2")
        .unwrap()
        .under_way
        .as_ref()
        .unwrap()
        .table;
    assert_eq!(next.id(), changing().under_way.unwrap().table.id());
}

/// A crash between write and rename leaves half a file beside the whole one.
#[test]
fn what_a_crash_left_beside_it_is_not_read() {
    let directory = Directory::new();
    let path = directory.file("state.json");
    let mut file = StateFile::open(&path).unwrap();
    file.store("vpc-2", changing()).unwrap();
    drop(file);
    std::fs::write(directory.file("state.json.new"), "{\"peerings\":{\"vpc-").unwrap();
    let mut file = StateFile::open(&path).unwrap();
    assert_eq!(file.kept("vpc-2"), Some(&changing()));
    file.store("vpc-2", resting(table(&["a"]))).unwrap();
}

#[test]
fn two_demuxes_do_not_share_a_file() {
    let directory = Directory::new();
    let path = directory.file("state.json");
    let first = StateFile::open(&path).unwrap();
    let error = StateFile::open(&path).unwrap_err();
    assert!(matches!(error, StateError::InUse { .. }), "{error}");
    drop(first);
    StateFile::open(&path).unwrap();
}

#[test]
fn a_place_that_cannot_be_written_stops_the_start() {
    let directory = Directory::new();
    let error = StateFile::open(&directory.file("nowhere/state.json")).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("cannot write ") && error.contains("(rescale.state)"),
        "{error}"
    );
}

/// What cannot be stored is not gone by.
#[test]
fn a_disk_that_refuses_leaves_what_was_there() {
    let directory = Directory::new();
    let inner = directory.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let mut file = StateFile::open(&inner.join("state.json")).unwrap();
    file.store("vpc-2", resting(table(&["a"]))).unwrap();
    std::fs::remove_dir_all(&inner).unwrap();
    let error = file.store("vpc-2", changing()).unwrap_err();
    assert!(matches!(error, StateError::Io { .. }), "{error}");
    assert_eq!(file.kept("vpc-2"), Some(&resting(table(&["a"]))));
    file.store("vpc-3", changing()).unwrap_err();
    assert_eq!(file.kept("vpc-3"), None);
}

#[test]
fn a_damaged_file_is_refused_with_what_to_do() {
    let directory = Directory::new();
    let path = directory.file("state.json");
    let whole = {
        let mut file = StateFile::open(&path).unwrap();
        file.store("vpc-2", changing()).unwrap();
        std::fs::read_to_string(&path).unwrap()
    };
    let cases = [
        ("", "EOF while parsing"),
        ("{}", "missing field `peerings`"),
        (&whole[..whole.len() / 2], "EOF while parsing"),
        (
            &whole.replacen("\"epoch\"", "\"epochs\"", 1),
            "unknown field `epochs`",
        ),
        (
            &whole.replacen("\"buckets\":[1", "\"buckets\":[9", 1),
            "bucket 0 is with 9",
        ),
        (
            &whole.replacen("\"weight\":2", "\"weight\":65", 1),
            "expected a weight from 1 to 64, got 65",
        ),
        (
            &whole.replacen("\"epoch\":1", "\"epoch\":3", 1),
            "the change of peering \"vpc-2\" does not begin at its table",
        ),
    ];
    for (text, why) in cases {
        assert_ne!(text, whole);
        std::fs::write(&path, text).unwrap();
        let error = StateFile::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("is damaged: ") && error.contains(why),
            "{why}: {error}"
        );
        // It is left for whoever mends it.
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

/// Whatever stands there: a table that holds together, or a refusal.
#[test]
fn any_damage_gets_an_answer() {
    let directory = Directory::new();
    let path = directory.file("state.json");
    let whole = {
        let mut file = StateFile::open(&path).unwrap();
        file.store("vpc-2", changing()).unwrap();
        std::fs::read(&path).unwrap()
    };
    let damage = (any::<prop::sample::Index>(), any::<u8>());
    TestRunner::default()
        .run(&damage, |(at, octet)| {
            let mut text = whole.clone();
            let at = at.index(text.len());
            text[at] = octet;
            std::fs::write(&path, &text).unwrap();
            if let Ok(file) = StateFile::open(&path)
                && let Some(State { table, .. }) = file.kept("vpc-2")
            {
                let carries = |&at: &Ordinal| table.pair(at).is_some_and(|m| m.weight.is_some());
                prop_assert!(table.buckets().iter().all(carries));
            }
            Ok(())
        })
        .unwrap();
}

const DEMUX: &str = r#"[nic]
name = "eth0"
[vpc]
prefixes = ["10.1.0.0/24"]
[steering]
key-file = "steering.key"
[[peering]]
name = "vpc-2"
prefixes = ["10.2.0.0/24"]
gateways = ["gateway-1", "gateway-2"]
[[gateway]]
name = "gateway-1"
address = "10.1.0.101"
[[gateway]]
name = "gateway-2"
address = "10.1.0.102"
weight = 3
"#;

fn plan(directory: &Path, text: &str) -> Plan {
    let path = directory.join("demux.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path).unwrap().into_plan()
}

#[test]
fn a_start_goes_by_what_was_kept() {
    let directory = Directory::new();
    key::new_steering(&directory.file("steering.key")).unwrap();
    let plan = plan(directory.path(), DEMUX);
    let peering = &plan.peerings[0];

    let fresh = at_start(&plan, peering, None).unwrap();
    assert_eq!((fresh.table.epoch(), fresh.under_way), (0, None));
    let shares = [0, 1].map(|pair| fresh.table.share(Ordinal(pair)));
    assert_eq!(shares, [1024, 3072]);

    // A gateway that joined with an address needs no section; another one does.
    assert_eq!(
        at_start(&plan, peering, Some(&changing())).unwrap(),
        changing()
    );
    let unknown = resting(table(&["gateway-1", "gateway-9"]));
    let error = at_start(&plan, peering, Some(&unknown)).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "gateway \"gateway-9\" is in the cluster of peering \"vpc-2\" by what rescale.state keeps, but not in"
        ),
        "{error}"
    );
}

/// One that is to carry a peering, and has workers, needs a tunnel for it on each of them.
#[test]
fn a_local_gateway_without_a_tunnel_cannot_go_on() {
    let directory = Directory::new();
    key::new_steering(&directory.file("steering.key")).unwrap();
    for spi in [4097, 4098, 8193, 8194] {
        key::new_sa(&directory.file(&format!("{spi}.key")), Cipher::Aes128Gcm).unwrap();
    }
    let gateway = |number: u32, peering: &str, peer: &str| {
        format!(
            r#"[[gateway]]
name = "gateway-{number}"
address = "10.1.0.100"
[[gateway.worker]]
[[gateway.worker.tunnel]]
peering = "{peering}"
peer = "{peer}"
encapsulation = "esp"
outbound = {{ spi = {out}, key-file = "{out}.key" }}
inbound = {{ spi = {into}, key-file = "{into}.key" }}
"#,
            out = 4096 + number,
            into = 8192 + number,
        )
    };
    let remote = DEMUX.find("[[gateway]]").unwrap();
    let text = format!(
        "{}[[peering]]\nname = \"vpc-3\"\nprefixes = [\"10.3.0.0/24\"]\ngateways = [\"gateway-2\"]\n{}{}",
        DEMUX[..remote].replace(", \"gateway-2\"", ""),
        gateway(1, "vpc-2", "10.2.0.101"),
        gateway(2, "vpc-3", "10.3.0.101"),
    );
    let plan = plan(directory.path(), &text);
    let peering = &plan.peerings[0];
    let kept = resting(table(&["gateway-1"]));
    assert_eq!(at_start(&plan, peering, Some(&kept)).unwrap(), kept);
    let kept = resting(table(&["gateway-1", "gateway-2"]));
    let error = at_start(&plan, peering, Some(&kept)).unwrap_err();
    assert!(
        matches!(&error, StateError::NoTunnel { gateway, .. } if gateway == "gateway-2"),
        "{error}"
    );
}
