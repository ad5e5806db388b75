//! The configuration file: any text gets an answer of one line for each fault, and no key is shown.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use causeway::config::Config;
use causeway::sequence::begin;

use crate::directory::Directory;

/// The key of every file here.
pub(crate) const KEY: &str = "5a5b58595e5f5c5d52535051565754554a4b4849";

pub(crate) fn run(input: &[u8]) {
    let directory = Directory::new();
    for name in ["a.key", "b.key"] {
        let key = format!("cipher = \"aes-128-gcm\"\nkey = \"{KEY}\"\n");
        write(&directory.file(name), key.as_bytes());
        begin(&directory.file(name)).expect("a reservation");
    }
    write(
        &directory.file("steering.key"),
        b"000102030405060708090a0b0c0d0e0f\n",
    );
    let path = directory.file("causeway.toml");
    write(&path, input);
    let shown = match Config::load(&path) {
        Ok(config) => format!("{config:?}"),
        Err(error) => {
            assert!(!error.problems().is_empty());
            for problem in error.problems() {
                let line = problem.to_string();
                assert!(line.contains("causeway.toml:"), "names no file: {line}");
                assert!(!line.contains(['\n', '\r']), "more than a line: {line:?}");
            }
            error.to_string()
        }
    };
    let key_in_input = input.windows(KEY.len()).any(|w| w == KEY.as_bytes());
    assert!(key_in_input || !shown.contains(KEY), "shows a key: {shown}");
}

/// Writes a file that its owner alone can read.
pub(crate) fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("a file in the fuzzer's own directory");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the mode of an own file");
}
