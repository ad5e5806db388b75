//! Configurations, good and bad, through the public API.

#[path = "../support/mod.rs"]
mod support;

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

use causeway::config::{Config, ConfigError};
use causeway::key;
use causeway_esp::Cipher;
use support::Directory;

/// A demux with two remote gateways.
const REMOTE: &str = r#"[nic]
name = "eth0"

[vpc]
prefixes = ["10.1.0.0/24"]

[steering]
key-file = "steering.key"

[[peering]]
name = "vpc-2"
prefixes = ["10.2.0.0/24", "10.3.0.0/16"]
gateways = ["gateway-1", "gateway-2"]

[[gateway]]
name = "gateway-1"
address = "10.1.0.101"

[[gateway]]
name = "gateway-2"
address = "10.1.0.102"
"#;

/// One local gateway with two workers.
const LOCAL: &str = r#"[nic]
name = "eth0"
mode = "skb"

[http]
listen = "127.0.0.1:9464"

[vpc]
prefixes = ["10.1.0.0/24"]

[steering]
key-file = "steering.key"

[[peering]]
name = "vpc-2"
prefixes = ["10.2.0.0/24"]
gateways = ["gateway-1"]
clamp-mss = true

[[gateway]]
name = "gateway-1"
address = "10.1.0.101"

[[gateway.worker]]
core = 0
spin = true

[[gateway.worker.tunnel]]
peering = "vpc-2"
peer = "10.2.0.101"
encapsulation = "udp"
source-port = 4501
replay-window = 1024
outbound = { spi = 4097, key-file = "out-0.key" }
inbound = { spi = 8193, key-file = "in-0.key" }

[[gateway.worker]]

[[gateway.worker.tunnel]]
peering = "vpc-2"
peer = "10.2.0.101"
encapsulation = "esp"
outbound = { spi = 4098, key-file = "out-1.key" }
inbound = { spi = 8194, key-file = "in-1.key" }
"#;

/// A directory with the keys that the configurations above name.
fn keys() -> Directory {
    let directory = Directory::new();
    key::new_steering(&directory.file("steering.key")).unwrap();
    for name in ["out-0.key", "in-0.key", "out-1.key", "in-1.key"] {
        key::new_sa(&directory.file(name), Cipher::Aes128Gcm).unwrap();
    }
    directory
}

/// Loads a text as `causeway.toml` of a directory.
fn load(directory: &Path, text: &str) -> Result<Config, ConfigError> {
    let path = directory.join("causeway.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path)
}

/// A text with one change, which must be possible.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "there is no {from:?} to change");
    text.replacen(from, to, 1)
}

/// Asserts that this is refused at this line with this sentence.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ConfigError>, line: &str, sentence: &str) {
    let error = result.expect_err(sentence).to_string();
    let found = error
        .lines()
        .any(|problem| problem.contains(&format!("causeway.toml:{line} {sentence}")));
    assert!(found, "expected {line} {sentence}\ngot {error}");
}
