//! `causeway local sa`: the SAs of this host's workers.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use causeway_esp::Spi;
use clap::{Args, Subcommand};

use super::columns::aligned;
use causeway_api::control::{NewSa, Request, WorkerSa};

pub const HELP: &str = "\
A new key for the direction from gateway A to its peer B, without packet loss:
  A  causeway key new A-2.key                  and copy A-2.key, not A-2.key.sequence, to B
  B  causeway local sa install --gateway gateway-1 --spi 0x2002 --key-file A-2.key
  A  causeway local sa switch --gateway gateway-1 --spi 0x2002 --key-file A-2.key
  B  causeway local sa retire --spi 0x2001

These changes last until the role stops. Also write the SPI and the key file into the configurations
of both ends, for the next start.";

#[derive(Debug, Subcommand)]
pub enum Sa {
    /// List the SAs: SPI, gateway, worker, state, traffic and lifetime. Keys are never printed.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Add an inbound SA. Its packets are opened as soon as the command returns.
    Install(NewSaArgs),
    /// Replace the outbound SA. The next packet uses the new SA as soon as the command returns.
    ///
    /// The old SA is removed and its key wiped. Install the new SA at the peer first.
    Switch(NewSaArgs),
    /// Remove an inbound SA after a delay, during which packets in flight arrive.
    Retire {
        /// The SPI, decimal or hexadecimal with 0x.
        #[arg(long, value_name = "SPI", value_parser = spi)]
        spi: Spi,
        /// The delay, in which packets of the SA are still opened.
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        after: u32,
    },
}

#[derive(Debug, Args)]
pub struct NewSaArgs {
    /// The gateway's name in the configuration.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The worker's number, as in `causeway local sa list`. Not needed if the gateway has one worker.
    #[arg(long, value_name = "NUMBER")]
    worker: Option<u32>,
    /// The peering's name. Not needed if the worker has one peering.
    #[arg(long, value_name = "NAME")]
    peering: Option<String>,
    /// The SPI, decimal or hexadecimal with 0x. To install, it must be unique on this host. To switch, it
    /// is the SPI that the peer has installed.
    #[arg(long, value_name = "SPI", value_parser = spi)]
    spi: Spi,
    /// The SA's key file, made by `causeway key new`. To switch, FILE.sequence must be in the same
    /// directory.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

impl Sa {
    pub fn prints_json(&self) -> bool {
        matches!(self, Self::List { json: true })
    }

    /// # Errors
    /// The key file's path is empty, or the current directory is unknown.
    pub fn request(self) -> anyhow::Result<Request> {
        Ok(match self {
            Self::List { .. } => Request::SaList {},
            Self::Install(new) => Request::SaInstall(new.into_request()?),
            Self::Switch(new) => Request::SaSwitch(new.into_request()?),
            Self::Retire { spi, after } => Request::SaRetire {
                spi: spi.get(),
                after_seconds: after.into(),
            },
        })
    }
}

impl NewSaArgs {
    fn into_request(self) -> anyhow::Result<NewSa> {
        Ok(NewSa {
            gateway: self.gateway,
            worker: self.worker,
            peering: self.peering,
            spi: self.spi.get(),
            // The role has another working directory.
            key_file: absolute(&self.key_file)?,
        })
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("invalid path {:?}", path.display()))
}

fn spi(text: &str) -> Result<Spi, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let spi = number.ok().and_then(Spi::new);
    spi.ok_or_else(|| "expected 256 to 4294967295, or 0x100 to 0xffffffff".to_owned())
}

/// One line per SA.
pub fn table(sas: &[WorkerSa], now: SystemTime) -> String {
    let header = [
        "SPI",
        "direction",
        "gateway",
        "worker",
        "peering",
        "state",
        "packets",
        "bytes",
        "age",
        "expires in",
        "numbers left",
    ];
    aligned(header, sas.iter().map(|listed| row(listed, now)))
}

fn row(listed: &WorkerSa, now: SystemTime) -> [String; 11] {
    let sa = &listed.sa;
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let between = |from: SystemTime, to: SystemTime| {
        let seconds = to.duration_since(from).map_or(0, |time| time.as_secs());
        format!("{seconds} s")
    };
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        format!("{:#010x}", sa.spi),
        sa.direction.name().to_owned(),
        listed.gateway.clone(),
        listed.worker.to_string(),
        sa.peering.clone(),
        sa.state.clone(),
        sa.packets.to_string(),
        sa.bytes.to_string(),
        between(at(sa.since), now),
        or_none(sa.expires.map(|expires| between(now, at(expires)))),
        or_none(sa.sequence_numbers_remaining.map(|left| left.to_string())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_api::status;

    #[test]
    fn spis_are_decimal_or_hexadecimal() {
        assert_eq!(spi("0x2001"), spi("8193"));
        assert_eq!(spi("4294967295").map(Spi::get), Ok(u32::MAX));
        for text in ["255", "0xff", "-1", "4294967296", "0x", "", "spi"] {
            assert!(spi(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_table_has_a_line_per_sa() {
        let sa = |direction, left| WorkerSa {
            gateway: "gateway-1".to_owned(),
            worker: 0,
            sa: status::Sa {
                spi: 0x2001,
                direction,
                peering: "vpc-2".to_owned(),
                state: "active".to_owned(),
                packets: 12,
                bytes: 3456,
                since: 1_000,
                expires: Some(1_100),
                sequence_numbers_remaining: left,
            },
        };
        let sas = [
            sa(status::Direction::Outbound, Some(77)),
            sa(status::Direction::Inbound, None),
        ];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_040);
        let text = table(&sas, now);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[1],
            [
                "0x00002001",
                "outbound",
                "gateway-1",
                "0",
                "vpc-2",
                "active",
                "12",
                "3456",
                "40",
                "s",
                "60",
                "s",
                "77"
            ]
        );
        assert_eq!(lines[2].last(), Some(&"-"));
    }
}
