//! The binary: output and exit status of `check`, `key` and `local`.

#[path = "support/binary.rs"]
mod binary;

use std::path::Path;
use std::process::Output;

use binary::{causeway, demux, prepared};
use tempfile::tempdir;

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_valid_file_is_valid_for_its_role_only() {
    let directory = prepared(&demux());
    for role in [&[][..], &["--role", "demux"]] {
        let arguments = [&["check", "--offline", "--config", "demux.toml"], role].concat();
        let output = causeway(&directory, &arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(output.stdout, b"demux.toml: valid\n");
    }
    let output = causeway(
        &directory,
        &[
            "check",
            "--offline",
            "--config",
            "demux.toml",
            "--role",
            "gateway",
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("demux.toml:15: gateway[0]: has no workers;"),
        "{output:?}"
    );
}

#[test]
fn an_invalid_file_is_refused_with_the_line() {
    let directory = prepared(&demux().replace("10.2.0.0/24", "10.1.0.0/16"));
    for command in [&["check", "--offline"][..], &["check"], &["demux"]] {
        let output = causeway(&directory, &[command, &["--config", "demux.toml"]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).starts_with(
                "demux.toml:12: peering[0].prefixes[0]: 10.1.0.0/16 overlaps 10.1.0.0/24 of [vpc] (line 5)"
            ),
            "{output:?}"
        );
        assert!(output.stdout.is_empty());
    }
}

/// `check` and `demux` give the same error, before any change to the host.
#[test]
fn a_missing_nic_is_refused_with_the_existing_ones() {
    let directory = prepared(&demux());
    for command in ["check", "demux"] {
        let output = causeway(&directory, &[command, "--config", "demux.toml"]);
        assert_eq!(output.status.code(), Some(1));
        let stderr = stderr(&output);
        let refusal = stderr
            .lines()
            .find(|line| {
                line.starts_with("demux.toml:2: nic.name: there is no interface no-such-nic")
            })
            .unwrap_or_else(|| panic!("{output:?}"));
        assert!(
            refusal.contains("there are: ") && refusal.contains("lo"),
            "{refusal}"
        );
    }
}

#[test]
fn a_new_sa_key_has_a_sequence_file_and_its_bytes_are_not_printed() {
    let directory = tempdir().unwrap();
    let output = causeway(
        &directory,
        &["key", "new", "--cipher", "chacha20-poly1305", "a.key"],
    );
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(directory.path().join("a.key")).unwrap();
    assert!(text.starts_with("cipher = \"chacha20-poly1305\"\nkey = \""));
    assert!(Path::new(&directory.path().join("a.key.sequence")).exists());
    let digits = text.split('"').nth(3).unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(!shown.contains(&digits[..8]), "{shown}");

    let again = causeway(&directory, &["key", "new", "a.key"]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(
        stderr(&again),
        "a.key exists and is not overwritten; choose another name\n"
    );
}

#[test]
fn without_a_role_local_fails_with_advice() {
    let directory = tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let socket = ["local", "--socket", "control.sock"];
        let output = causeway(&directory, &[&socket[..], arguments].concat());
        (output.status.code(), stderr(&output))
    };
    let new = ["--gateway", "g", "--spi", "0x1001", "--key-file", "a.key"];
    for arguments in [
        &["sa", "list"][..],
        &[&["sa", "install"][..], &new].concat(),
        &[&["sa", "switch"][..], &new].concat(),
        &["sa", "retire", "--spi", "4097", "--after", "5"],
        &["gateway", "list", "--json"],
        &[
            "gateway",
            "add",
            "--gateway",
            "g",
            "--address",
            "10.1.0.103",
        ],
        &["gateway", "drain", "--gateway", "g", "--peering", "vpc-2"],
        &["gateway", "remove", "--gateway", "g"],
        &["gateway", "weight", "--gateway", "g", "--weight", "64"],
    ] {
        let (code, stderr) = run(arguments);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains("no role serves control.sock") && stderr.contains("[control]"),
            "{stderr}"
        );
    }
    // A wrong command line has another exit status than a refusal.
    for (arguments, expected) in [
        (&["sa", "retire", "--spi", "255"][..], "256 to 4294967295"),
        (
            &["sa", "install", "--gateway", "g", "--spi", "4097"],
            "--key-file",
        ),
        (
            &["sa", "retire", "--spi", "4097", "--after", "soon"],
            "--after",
        ),
        (
            &["gateway", "weight", "--gateway", "g", "--weight", "0"],
            "expected 1 to 64",
        ),
        (
            &["gateway", "add", "--gateway", "g", "--weight", "65"],
            "expected 1 to 64",
        ),
        (
            &["gateway", "add", "--gateway", "g", "--address", "there"],
            "--address",
        ),
        (&["gateway", "weight", "--gateway", "g"], "--weight"),
        (&["gateway", "drain"], "--gateway"),
    ] {
        let (code, stderr) = run(arguments);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}
