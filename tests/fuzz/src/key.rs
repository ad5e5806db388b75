//! Key files, of SAs and of the steering hash: any content gets an answer, and none shows it.

use causeway::config::Config;
use causeway::sequence::begin;

use crate::config::{KEY, write};
use crate::directory::Directory;

/// A gateway whose outbound key file is the input's.
const GATEWAY: &str = r#"
[nic]
name = "eth0"
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
[[gateway.worker]]
[[gateway.worker.tunnel]]
peering = "vpc-2"
peer = "10.2.0.101"
encapsulation = "udp"
outbound = { spi = 4097, key-file = "a.key" }
inbound = { spi = 8193, key-file = "b.key" }
"#;

/// Octets: which file, then its content.
pub(crate) fn run(input: &[u8]) {
    let Some((&which, content)) = input.split_first() else {
        return;
    };
    let directory = Directory::new();
    let good = format!("cipher = \"aes-128-gcm\"\nkey = \"{KEY}\"\n");
    write(&directory.file("b.key"), good.as_bytes());
    begin(&directory.file("a.key")).expect("a reservation");
    let other = good.replace("5a5b", "5b5a");
    let steering: &[u8] = b"000102030405060708090a0b0c0d0e0f";
    let (sa, steering) = match which & 1 {
        0 => (content, steering),
        _ => (other.as_bytes(), content),
    };
    write(&directory.file("a.key"), sa);
    write(&directory.file("steering.key"), steering);
    write(&directory.file("causeway.toml"), GATEWAY.as_bytes());
    let shown = match Config::load(&directory.file("causeway.toml")) {
        Ok(config) => format!("{config:?}"),
        Err(error) => error.to_string(),
    };
    // Every run of hex digits in the file that is too long to be a word of the error's own.
    for run in content.split(|octet| !octet.is_ascii_hexdigit()) {
        let shows = |run: &str| shown.contains(run) && !GATEWAY.contains(run);
        assert!(
            run.len() < 12 || std::str::from_utf8(run).is_ok_and(|run| !shows(run)),
            "shows what stands in a key file: {shown}"
        );
    }
}
