//! The command line. It looks at this host and changes nothing.

use std::process::{Command, Output};

use crate::support::Directory;

const GATEWAY: &str = r#"[nic]
name = "no-such-nic"
[vpc]
prefixes = ["10.1.0.0/24"]
[steering]
key-file = "steering.key"
[[peering]]
name = "vpc-2"
prefixes = ["10.2.0.0/24"]
gateways = ["gateway-1"]
[[gateway]]
name = "gateway-1"
address = "10.1.0.101"
"#;

fn tune(directory: &Directory, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .arg("tune")
        .args(arguments)
        .current_dir(directory.path())
        .output()
        .unwrap()
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
    causeway::key::new_steering(&directory.file("steering.key")).unwrap();
    std::fs::write(directory.file("demux.toml"), GATEWAY).unwrap();
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
