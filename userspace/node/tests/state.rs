//! The state file: what a restart reads from it, and which files it refuses.

use causeway_config::{Config, Plan};
use causeway_fixtures::{REMOTE, directory};
use causeway_node::state::{StateError, StateFile, at_start};
use causeway_rescale::coordinator::{State, UnderWay};
use causeway_rescale::{Change, Ordinal, Table, Weight};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::tempdir;

fn table(names: &[&str]) -> Table {
    Table::new(names.iter().map(|name| (name.to_string(), Weight::ONE))).unwrap()
}

fn without_change(table: Table) -> State {
    State {
        table,
        under_way: None,
    }
}

/// A cluster of two gateways at epoch 1, with a change in progress that adds a third gateway.
fn with_change() -> State {
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
fn a_restart_reads_the_stored_state() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("state.json");
    let mut file = StateFile::open(&path).unwrap();
    assert_eq!(file.stored("vpc-2"), None);
    file.store("vpc-2", without_change(table(&["a"]))).unwrap();
    file.store("vpc-3", without_change(table(&["b", "c"])))
        .unwrap();
    file.store("vpc-2", with_change()).unwrap();
    drop(file);
    let file = StateFile::open(&path).unwrap();
    assert_eq!(file.stored("vpc-2"), Some(&with_change()));
    assert_eq!(
        file.stored("vpc-3"),
        Some(&without_change(table(&["b", "c"])))
    );
    let next = &file
        .stored("vpc-2")
        .unwrap()
        .under_way
        .as_ref()
        .unwrap()
        .table;
    assert_eq!(next.id(), with_change().under_way.unwrap().table.id());
}

/// A crash between write and rename leaves a partial file beside the complete one.
#[test]
fn a_partial_file_of_a_crash_is_not_read() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("state.json");
    let mut file = StateFile::open(&path).unwrap();
    file.store("vpc-2", with_change()).unwrap();
    drop(file);
    std::fs::write(
        directory.path().join("state.json.new"),
        "{\"peerings\":{\"vpc-",
    )
    .unwrap();
    let mut file = StateFile::open(&path).unwrap();
    assert_eq!(file.stored("vpc-2"), Some(&with_change()));
    file.store("vpc-2", without_change(table(&["a"]))).unwrap();
}

#[test]
fn two_demuxes_do_not_share_a_file() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("state.json");
    let first = StateFile::open(&path).unwrap();
    let error = StateFile::open(&path).unwrap_err();
    assert!(matches!(error, StateError::InUse { .. }), "{error}");
    drop(first);
    StateFile::open(&path).unwrap();
}

#[test]
fn an_unwritable_directory_prevents_the_start() {
    let directory = tempdir().unwrap();
    let error = StateFile::open(&directory.path().join("nowhere/state.json")).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("cannot write ") && error.contains("(rescale.state)"),
        "{error}"
    );
}

/// A state that cannot be written is not used.
#[test]
fn a_failed_write_leaves_the_previous_state() {
    let directory = tempdir().unwrap();
    let inner = directory.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let mut file = StateFile::open(&inner.join("state.json")).unwrap();
    file.store("vpc-2", without_change(table(&["a"]))).unwrap();
    std::fs::remove_dir_all(&inner).unwrap();
    let error = file.store("vpc-2", with_change()).unwrap_err();
    assert!(matches!(error, StateError::Io { .. }), "{error}");
    assert_eq!(file.stored("vpc-2"), Some(&without_change(table(&["a"]))));
    file.store("vpc-3", with_change()).unwrap_err();
    assert_eq!(file.stored("vpc-3"), None);
}

#[test]
fn a_damaged_file_is_refused_with_advice() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("state.json");
    let whole = {
        let mut file = StateFile::open(&path).unwrap();
        file.store("vpc-2", with_change()).unwrap();
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
            "bucket 0 is assigned to ordinal 9",
        ),
        (
            &whole.replacen("\"weight\":2", "\"weight\":65", 1),
            "expected a weight from 1 to 64, got 65",
        ),
        (
            &whole.replacen("\"epoch\":1", "\"epoch\":3", 1),
            "the change of peering \"vpc-2\" does not start from its table",
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
        // The file is left as it is, for repair.
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

/// A file with a changed octet yields a consistent table or an error.
#[test]
fn any_damage_yields_a_consistent_table_or_an_error() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("state.json");
    let whole = {
        let mut file = StateFile::open(&path).unwrap();
        file.store("vpc-2", with_change()).unwrap();
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
                && let Some(State { table, .. }) = file.stored("vpc-2")
            {
                let carries = |&at: &Ordinal| table.pair(at).is_some_and(|m| m.weight.is_some());
                prop_assert!(table.buckets().iter().all(carries));
            }
            Ok(())
        })
        .unwrap();
}

fn plan(text: &str) -> Plan {
    let directory = directory("demux.toml", text);
    let config = Config::load(&directory.path().join("demux.toml"));
    config.unwrap().into_plan()
}

#[test]
fn a_start_uses_the_stored_cluster() {
    let plan = plan(&format!("{REMOTE}weight = 3\n"));
    let peering = &plan.peerings[0];

    let fresh = at_start(&plan, peering, None).unwrap();
    assert_eq!((fresh.table.epoch(), fresh.under_way), (0, None));
    let shares = [0, 1].map(|pair| fresh.table.share(Ordinal(pair)));
    assert_eq!(shares, [1024, 3072]);

    // A gateway that was added with an address needs no section in the configuration. Other gateways do.
    assert_eq!(
        at_start(&plan, peering, Some(&with_change())).unwrap(),
        with_change()
    );
    let unknown = without_change(table(&["gateway-1", "gateway-9"]));
    let error = at_start(&plan, peering, Some(&unknown)).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "rescale.state has gateway \"gateway-9\" in the cluster of peering \"vpc-2\", but the configuration does not"
        ),
        "{error}"
    );
}

/// A local gateway needs a tunnel on each of its workers for each peering that it carries.
#[test]
fn a_local_gateway_without_a_tunnel_is_refused() {
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
    let remote = REMOTE.find("[[gateway]]").unwrap();
    let text = format!(
        "{}[[peering]]\nname = \"vpc-3\"\nprefixes = [\"10.4.0.0/24\"]\ngateways = [\"gateway-2\"]\n{}{}",
        REMOTE[..remote].replace(", \"gateway-2\"", ""),
        gateway(1, "vpc-2", "10.2.0.101"),
        gateway(2, "vpc-3", "10.3.0.101"),
    );
    let plan = plan(&text);
    let peering = &plan.peerings[0];
    let stored = without_change(table(&["gateway-1"]));
    assert_eq!(at_start(&plan, peering, Some(&stored)).unwrap(), stored);
    let stored = without_change(table(&["gateway-1", "gateway-2"]));
    let error = at_start(&plan, peering, Some(&stored)).unwrap_err();
    assert!(
        matches!(&error, StateError::NoTunnel { gateway, .. } if gateway == "gateway-2"),
        "{error}"
    );
}
