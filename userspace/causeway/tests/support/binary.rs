//! Runs the binary.

use std::process::{Command, Output};

use causeway_fixtures::REMOTE;
use tempfile::{TempDir, tempdir};

/// Runs the command in the directory.
pub fn causeway(directory: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(arguments)
        .current_dir(directory.path())
        .output()
        .unwrap()
}

/// The configuration of a demux with a NIC that no host has.
pub fn demux() -> String {
    REMOTE.replace("eth0", "no-such-nic")
}

/// A directory with the configuration as `demux.toml`. The command makes the key.
pub fn prepared(configuration: &str) -> TempDir {
    let directory = tempdir().unwrap();
    let made = causeway(&directory, &["key", "steering", "steering.key"]);
    assert!(made.status.success(), "{made:?}");
    std::fs::write(directory.path().join("demux.toml"), configuration).unwrap();
    directory
}
