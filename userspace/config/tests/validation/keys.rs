//! Key files of a configuration. Unsafe files are refused, and no error shows a key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use causeway_config::Config;
use causeway_keys::sequence::sequence_file;
use tempfile::TempDir;

use super::{LOCAL, changed, keys, load, refused};

const SECRET: &str = "00112233445566778899aabbccddeeff00112233";

fn write(directory: &TempDir, name: &str, text: &str) {
    fs::write(directory.path().join(name), text).unwrap();
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    for mode in [0o640, 0o604, 0o620, 0o601] {
        for (name, line, field) in [
            ("steering.key", "12:", "steering.key-file"),
            (
                "in-0.key",
                "35:",
                "gateway[0].worker[0].tunnel[0].inbound.key-file",
            ),
        ] {
            let directory = keys();
            let path = directory.path().join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let message = format!(
                "{field}: {} is accessible to group or others (mode {mode:04o}): set mode 600",
                path.display()
            );
            refused(load(directory.path(), LOCAL), line, &message);
        }
    }
}

#[test]
fn malformed_keys_are_refused_and_never_shown() {
    let cases = [
        (
            format!("cipher = \"aes-256-gcm\"\nkey = \"{SECRET}\"\n"),
            ": expected 36 bytes for aes-256-gcm (the key and 4 bytes of salt), got 20",
        ),
        (
            format!("cipher = \"aes-128-gcm\"\nkey = \"{SECRET}00\"\n"),
            ": expected 20 bytes for aes-128-gcm",
        ),
        (
            format!("cipher = \"aes-128-gcm\"\nkey = \"{SECRET}0\"\n"),
            ":2: expected two lines",
        ),
        (
            format!("cipher = \"aes-128-gcm\"\nkey = \"x{}\"\n", &SECRET[1..]),
            ":2: expected two lines",
        ),
        (
            format!("cipher = \"aes-128-gcm\"\nkey = {SECRET}\n"),
            ":2: expected two lines",
        ),
        (
            format!("cipher = \"aes-128-gcm\"\nkey = [\"{SECRET}\"]\n"),
            ":2: expected two lines",
        ),
        (
            format!("cipher = \"aes-128-gcm\"\n{SECRET} = 1\n"),
            ":2: expected two lines",
        ),
        (
            format!("cipher = \"{SECRET}\"\nkey = \"{SECRET}\"\n"),
            ": unknown cipher; expected one of aes-128-gcm, aes-256-gcm, chacha20-poly1305",
        ),
        (format!("key = \"{SECRET}\"\n"), ":1: expected two lines"),
        (format!("{SECRET}\n"), ":1: expected two lines"),
        (String::new(), ":1: expected two lines"),
        (
            "#".repeat(5000),
            " is not a key file: expected at most 4096 bytes",
        ),
    ];
    for (text, message) in cases {
        let directory = keys();
        write(&directory, "in-0.key", &text);
        let result = load(directory.path(), LOCAL);
        let shown = format!("{result:?} {}", result.as_ref().unwrap_err());
        assert!(!shown.contains(&SECRET[1..20]), "{shown}");
        let path = directory.path().join("in-0.key");
        refused(
            result,
            "35:",
            &format!(
                "gateway[0].worker[0].tunnel[0].inbound.key-file: {}{message}",
                path.display()
            ),
        );
    }
}

/// Nothing that is not a file is read: a FIFO without a writer would block for ever, and a device would not end.
#[test]
fn special_files_are_refused_unread() {
    let special = |directory: &Path, name: &str| {
        let path = directory.join(name);
        let _ = fs::remove_file(&path);
        path
    };
    let make = [
        |path: &Path| {
            let made = Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        },
        |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        |path: &Path| fs::create_dir(path).unwrap(),
        |path: &Path| drop(UnixListener::bind(path).unwrap()),
    ];
    for (make, is_socket) in make.into_iter().zip([false, false, false, true]) {
        for name in [
            "in-0.key",
            "out-0.key",
            "out-0.key.sequence",
            "steering.key",
        ] {
            let directory = keys();
            make(&special(directory.path(), name));
            let error = load(directory.path(), LOCAL).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            // The kernel refuses to open a socket.
            let expected =
                ["not a regular file", "No such device or address"][usize::from(is_socket)];
            assert!(error.contains(expected), "{error}");
        }
        let directory = keys();
        let path = special(directory.path(), "causeway.toml");
        make(&path);
        let error = Config::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("the configuration cannot be read"),
            "{error}"
        );
    }
}

#[test]
fn a_configuration_is_bounded() {
    let directory = keys();
    let path = directory.path().join("causeway.toml");
    fs::write(&path, "#".repeat((4 << 20) + 1)).unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert!(error.contains("longer than 4194304 bytes"), "{error}");
}

#[test]
fn malformed_steering_keys_are_refused_and_never_shown() {
    for text in [
        &SECRET[..31],
        &SECRET[..33],
        "",
        "not hex digits, 32 of them......",
    ] {
        let directory = keys();
        write(&directory, "steering.key", text);
        let result = load(directory.path(), LOCAL);
        let shown = result.as_ref().unwrap_err().to_string();
        assert!(!shown.contains(&SECRET[..20]), "{shown}");
        let path = directory.path().join("steering.key");
        refused(
            result,
            "12:",
            &format!(
                "steering.key-file: {}: expected 32 hex digits; make one with `causeway key steering`",
                path.display()
            ),
        );
    }
}

#[test]
fn no_debug_text_shows_a_key() {
    let directory = keys();
    write(&directory, "steering.key", &SECRET[..32]);
    write(
        &directory,
        "in-0.key",
        &format!("cipher = \"aes-128-gcm\"\nkey = \"{SECRET}\"\n"),
    );
    let shown = format!("{:?}", load(directory.path(), LOCAL).unwrap());
    assert!(shown.contains("SteeringKey(..)"), "{shown}");
    assert!(!shown.contains(&SECRET[..8]), "{shown}");
    // The octets 0x33 0x44 0x55 as a list of numbers.
    assert!(!shown.contains("51, 68, 85"), "{shown}");
}

#[test]
fn a_key_in_place_of_its_file_is_refused_and_never_shown() {
    for name in ["steering.key", "out-1.key"] {
        let directory = keys();
        let text = changed(LOCAL, name, SECRET);
        let error = load(directory.path(), &text).unwrap_err().to_string();
        assert!(error.contains("expected the path of a key file"), "{error}");
        assert!(!error.contains(SECRET), "{error}");
    }
}

/// With one key for both directions or for two workers, (key, IV) pairs would repeat.
#[test]
fn one_key_in_two_sas_is_refused() {
    for (name, line) in [
        ("in-0.key", "35:"),
        ("out-1.key", "43:"),
        ("in-1.key", "44:"),
    ] {
        let directory = keys();
        fs::copy(
            directory.path().join("out-0.key"),
            directory.path().join(name),
        )
        .unwrap();
        let error = load(directory.path(), LOCAL).unwrap_err().to_string();
        assert!(
            error.contains(&format!("causeway.toml:{line} "))
                && error.contains("has the same key as another SA (line 34)"),
            "{error}"
        );
    }
}

#[test]
fn only_an_outbound_key_needs_a_sequence_reservation() {
    let directory = keys();
    fs::remove_file(sequence_file(&directory.path().join("in-0.key"))).unwrap();
    load(directory.path(), LOCAL).unwrap();
    let sequence = sequence_file(&directory.path().join("out-0.key"));
    fs::remove_file(&sequence).unwrap();
    refused(
        load(directory.path(), LOCAL),
        "34:",
        &format!(
            "gateway[0].worker[0].tunnel[0].outbound.key-file: {} is missing: the used numbers of this key are unknown",
            sequence.display()
        ),
    );
}

#[test]
fn an_absent_key_file_is_named() {
    let directory = keys();
    refused(
        load(directory.path(), &changed(LOCAL, "in-1.key", "missing.key")),
        "44:",
        &format!(
            "gateway[0].worker[1].tunnel[0].inbound.key-file: {} cannot be read: No such file",
            directory.path().join("missing.key").display()
        ),
    );
}
