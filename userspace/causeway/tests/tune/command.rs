//! The command line. These tests do not change this host.

use std::process::Output;

use tempfile::{TempDir, tempdir};

use crate::binary::{causeway, demux, prepared};

fn tune(directory: &TempDir, arguments: &[&str]) -> Output {
    causeway(directory, &[&["tune"], arguments].concat())
}

#[test]
fn exactly_one_of_check_and_apply_is_required() {
    let directory = tempdir().unwrap();
    for arguments in [
        &[][..],
        &["--check"],
        &["--check", "--apply", "--config", "x"],
        &["--config", "x"],
    ] {
        let output = tune(&directory, arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn a_missing_nic_is_named() {
    let directory = prepared(&demux());
    for json in [&[][..], &["--json"]] {
        let output = tune(
            &directory,
            &[&["--check", "--config", "demux.toml"], json].concat(),
        );
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.contains("no-such-nic") && output.stdout.is_empty(),
            "{stderr}"
        );
    }
}
