//! Valid and invalid configurations, through the public API.

mod arbitrary;
mod documented;
mod families;
mod file;
mod host;
mod keys;
mod limits;
mod refusals;
mod rescale;
mod roles;
mod settings;

use std::path::Path;

use causeway_config::{Config, ConfigError};
use causeway_fixtures::{LOCAL, REMOTE, directory};
use tempfile::TempDir;

/// A directory with the key files of [`REMOTE`] and [`LOCAL`].
fn keys() -> TempDir {
    directory("causeway.toml", LOCAL)
}

/// Loads `text` as the file `causeway.toml` of `directory`.
fn load(directory: &Path, text: &str) -> Result<Config, ConfigError> {
    let path = directory.join("causeway.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path)
}

/// `text` with the first `from` replaced by `to`.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "there is no {from:?} to change");
    text.replacen(from, to, 1)
}

/// Asserts that `result` has an error at `line` with `message`.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ConfigError>, line: &str, message: &str) {
    let error = result.expect_err(message).to_string();
    let found = error
        .lines()
        .any(|problem| problem.contains(&format!("causeway.toml:{line} {message}")));
    assert!(found, "expected {line} {message}\ngot {error}");
}
