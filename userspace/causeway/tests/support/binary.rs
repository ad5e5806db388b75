//! The binary itself.

use std::process::{Command, Output};

use crate::support::Directory;

/// Runs the command in the directory.
pub fn causeway(directory: &Directory, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(arguments)
        .current_dir(directory.path())
        .output()
        .unwrap()
}
