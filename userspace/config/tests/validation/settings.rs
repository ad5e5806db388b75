//! Settings of a tunnel's SAs.

use std::time::Duration;

use causeway_config::Settings;
use causeway_esp::{DontFragment, Dscp, Lifetime, Limits, Tfc};

use super::{LOCAL, changed, keys, load, refused};

/// The settings of the first tunnel with additional `lines`, which start at line 34.
fn settings(lines: &str) -> Settings {
    let directory = keys();
    let config = load(directory.path(), &with(lines)).unwrap();
    let (_, worker) = config.plan().workers().next().unwrap();
    worker.tunnels[0].settings
}

fn with(lines: &str) -> String {
    let after = "replay-window = 1024\n";
    changed(LOCAL, after, &format!("{after}{lines}\n"))
}

/// Standard: dscp-copied, df-copied
#[test]
fn the_defaults_copy_the_inner_header_and_set_no_limits() {
    let defaults = settings("");
    assert_eq!(defaults, Settings::default());
    assert_eq!(defaults.dscp, Dscp::Copy);
    assert_eq!(defaults.dont_fragment, DontFragment::Copy);
    assert_eq!((defaults.esn, defaults.tfc), (true, Tfc::Off));
    assert_eq!(defaults.lifetime, Lifetime::default());
}

/// Standard: dscp-set, df-set, tfc-made, lifetime
#[test]
fn all_settings_are_read() {
    let all = settings(
        "dscp = 46\ndont-fragment = \"set\"\nesn = false\ntfc-pad-to = 1400\n\
         lifetime = { soft = { seconds = 3000, packets = 9 }, hard = { seconds = 3600, bytes = 1000 } }",
    );
    let limits = |seconds, bytes, packets| Limits {
        time: Some(Duration::from_secs(seconds)),
        bytes,
        packets,
    };
    assert_eq!(
        all,
        Settings {
            dscp: Dscp::Set(46),
            dont_fragment: DontFragment::Set,
            esn: false,
            tfc: Tfc::PadTo(1400),
            lifetime: Lifetime {
                soft: limits(3000, None, Some(9)),
                hard: limits(3600, Some(1000), None),
            },
        }
    );
    assert_eq!(settings("dscp = \"copy\"").dscp, Dscp::Copy);
    assert_eq!(settings("dscp = 0").dscp, Dscp::Set(0));
    let clear = settings("dont-fragment = \"clear\"");
    assert_eq!(clear.dont_fragment, DontFragment::Clear);
}

#[test]
fn invalid_settings_are_refused() {
    let tunnel = "gateway[0].worker[0].tunnel[0].";
    for (lines, line, field, message) in [
        (
            "dscp = 64",
            "34:",
            "dscp",
            "expected \"copy\" or a number from 0 to 63, got 64",
        ),
        (
            "dscp = -1",
            "34:",
            "dscp",
            "expected \"copy\" or a number from 0 to 63, got -1",
        ),
        (
            "dscp = \"ef\"",
            "34:",
            "dscp",
            "expected \"copy\" or a number from 0 to 63, got \"ef\"",
        ),
        (
            "tfc-pad-to = 0",
            "34:",
            "tfc-pad-to",
            "expected 1 to 3498 octets, got 0; remove this key to send packets without padding",
        ),
        (
            "tfc-pad-to = 3499",
            "34:",
            "tfc-pad-to",
            "expected 1 to 3498 octets, got 3499; remove this key to send packets without padding",
        ),
        (
            "dummy-interval = 0",
            "34:",
            "dummy-interval",
            "expected 1 to 3600000 milliseconds, got 0; remove this key to send no dummies",
        ),
        (
            "lifetime.hard.bytes = 0",
            "34:",
            "lifetime.hard.bytes",
            "expected at least 1, got 0; remove this key for no limit",
        ),
        (
            "lifetime.hard.seconds = 60\nlifetime.soft.seconds = 60",
            "35:",
            "lifetime.soft.seconds",
            "60 is not below 60, the hard limit (line 34)",
        ),
    ] {
        let directory = keys();
        let loaded = load(directory.path(), &with(lines));
        refused(loaded, line, &format!("{tunnel}{field}: {message}"));
    }
    for (lines, place, message) in [
        (
            "dscp = true",
            "34:8:",
            "gateway.worker.tunnel.dscp: expected \"copy\" or a number from 0 to 63",
        ),
        (
            "dont-fragment = \"no\"",
            "34:17:",
            "gateway.worker.tunnel.dont-fragment: unknown variant `no`, expected one of `copy`, `set`, `clear`",
        ),
        (
            "lifetime = { hard = { hours = 1 } }",
            "34:23:",
            "gateway.worker.tunnel.lifetime.hard: unknown field `hours`, expected one of `seconds`, `bytes`, `packets`",
        ),
    ] {
        let directory = keys();
        refused(load(directory.path(), &with(lines)), place, message);
    }
}
