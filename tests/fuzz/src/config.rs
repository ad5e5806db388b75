//! The configuration file: arbitrary text gets one line for each problem, and no message shows a key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use causeway_config::Config;
use causeway_keys::read_sa;
use causeway_keys::sequence::begin;
use tempfile::tempdir;

/// The key in all key files.
const KEY: &str = "5a5b58595e5f5c5d52535051565754554a4b4849";

pub(crate) fn run(input: &[u8]) {
    let directory = tempdir().unwrap();
    for name in ["a.key", "b.key"] {
        let path = directory.path().join(name);
        write(&path, key_file().as_bytes());
        let key = read_sa(&path).expect("a key file");
        begin(&path, &key.fingerprint()).expect("a reservation");
    }
    write(
        &directory.path().join("steering.key"),
        b"000102030405060708090a0b0c0d0e0f\n",
    );
    let path = directory.path().join("causeway.toml");
    write(&path, input);
    let shown = match Config::load(&path) {
        Ok(config) => format!("{config:?}"),
        Err(error) => {
            assert!(!error.problems().is_empty());
            for problem in error.problems() {
                let line = problem.to_string();
                assert!(
                    line.contains("causeway.toml:"),
                    "does not name the file: {line}"
                );
                assert!(!line.contains(['\n', '\r']), "more than a line: {line:?}");
            }
            error.to_string()
        }
    };
    let key_in_input = input.windows(KEY.len()).any(|w| w == KEY.as_bytes());
    assert!(key_in_input || !shown.contains(KEY), "shows a key: {shown}");
}

/// The content of a key file with [`KEY`].
pub(crate) fn key_file() -> String {
    format!("cipher = \"aes-128-gcm\"\nkey = \"{KEY}\"\n")
}

/// Writes a file that only its owner can read.
pub(crate) fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("a file in a temporary directory");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the mode of a new file");
}
