//! The gateway's tunnel: the gateway's configuration, and the peer's end, which the load simulates.

use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use causeway_esp::{Encapsulation, Ends, Key, OutboundConfig, OutboundSa, Outer, Sequence, Spi};

use super::addresses::{GATEWAY, NIC, PEER};
use super::args::Args;

/// The SPI of the SA towards the gateway.
const SPI: u32 = 0x2001;

/// Writes the gateway's configuration and keys. This process has the key of the SA towards the gateway,
/// because it seals that SA's packets; the key protects test packets only.
pub fn configure(args: &Args, folder: &Path, key: &[u8]) -> Result<()> {
    let hex = |octets: &[u8]| {
        octets.iter().fold(String::new(), |mut text, octet| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{octet:02x}");
            text
        })
    };
    let private = |name: &str, text: String| {
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        let path = folder.join(name);
        file.open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    let cipher = args.cipher.name();
    private("steering.key", hex(&[7; 16]) + "\n")?;
    private(
        "inbound.key",
        format!("cipher = \"{cipher}\"\nkey = \"{}\"\n", hex(key)),
    )?;
    let made = Command::new(&args.built.causeway)
        .args(["key", "new", "--cipher", cipher])
        .arg(folder.join("outbound.key"))
        .output()
        .with_context(|| format!("cannot start {}", args.built.causeway.display()))?;
    ensure!(
        made.status.success(),
        "`causeway key new` failed: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    private(
        "gateway.toml",
        format!(
            "[nic]\nname = \"{NIC}\"\nmode = \"driver\"\n\n\
             [http]\nlisten = \"127.0.0.1:9464\"\n\n\
             [control]\nsocket = \"control.sock\"\n\n\
             [vpc]\nprefixes = [\"10.1.0.0/24\"]\n\n\
             [steering]\nkey-file = \"steering.key\"\n\n\
             [[peering]]\nname = \"far\"\nprefixes = [\"10.2.0.0/24\"]\ngateways = [\"one\"]\n\n\
             [[gateway]]\nname = \"one\"\naddress = \"{GATEWAY}\"\n\
             [[gateway.worker]]\ncore = {core}\n\
             [[gateway.worker.tunnel]]\npeering = \"far\"\npeer = \"{PEER}\"\n\
             encapsulation = \"esp\"\n\
             outbound = {{ spi = 0x1001, key-file = \"outbound.key\" }}\n\
             inbound = {{ spi = {SPI}, key-file = \"inbound.key\" }}\n",
            core = args.core,
        ),
    )
}

/// The outbound SA of the peer towards the gateway.
pub fn peer(args: &Args, key: &[u8]) -> Result<OutboundSa> {
    let ends = Ends::V4 {
        source: PEER,
        destination: GATEWAY,
    };
    let outer = Outer::new(ends, Encapsulation::Esp, 64);
    let mut sequence = Sequence::new(1);
    sequence.reserve_until(u64::MAX);
    let spi = Spi::new(SPI).context("SPI 0 is reserved")?;
    let key = Key::new(args.cipher, key)?;
    Ok(OutboundSa::new(OutboundConfig::new(
        spi, key, outer, sequence,
    )))
}
