//! Key files of SAs and of the steering hash. Loading never panics, and no message shows the content of a key file.

use std::fs;

use causeway_config::Config;
use causeway_fixtures::{LOCAL, directory};
use tempfile::TempDir;

use crate::config::key_file;

thread_local! {
    /// The configuration of a gateway with its key files.
    static GATEWAY: TempDir = directory("causeway.toml", LOCAL);
}

/// Input: a byte that selects the file, then its content.
pub(crate) fn run(input: &[u8]) {
    let Some((&which, content)) = input.split_first() else {
        return;
    };
    let path = |name| GATEWAY.with(|directory| directory.path().join(name));
    let good = key_file();
    let steering: &[u8] = b"000102030405060708090a0b0c0d0e0f";
    let (sa, steering) = match which & 1 {
        0 => (content, steering),
        _ => (good.as_bytes(), content),
    };
    fs::write(path("out-0.key"), sa).expect("an existing file");
    fs::write(path("steering.key"), steering).expect("an existing file");
    let shown = match Config::load(&path("causeway.toml")) {
        Ok(config) => format!("{config:?}"),
        Err(error) => error.to_string(),
    };
    // A run of hex digits from the file that is too long to be a part of the message itself.
    for run in content.split(|octet| !octet.is_ascii_hexdigit()) {
        assert!(
            run.len() < 12 || std::str::from_utf8(run).is_ok_and(|run| !shown.contains(run)),
            "shows the content of a key file: {shown}"
        );
    }
}
