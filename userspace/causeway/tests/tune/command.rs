//! The command line. It looks at this host and changes nothing.

use std::process::Output;

use crate::binary::causeway;
use crate::support::Directory;

const DEMUX: &str = include_str!("../support/demux.toml");

fn tune(directory: &Directory, arguments: &[&str]) -> Output {
    causeway(directory, &[&["tune"], arguments].concat())
}

#[test]
fn it_is_either_a_check_or_a_change() {
    let directory = Directory::new();
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
fn a_nic_that_does_not_exist_is_named() {
    let directory = Directory::new();
    ::causeway::key::new_steering(&directory.file("steering.key")).unwrap();
    std::fs::write(directory.file("demux.toml"), DEMUX).unwrap();
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
