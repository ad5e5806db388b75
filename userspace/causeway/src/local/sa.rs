//! `causeway local sa`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use causeway_esp::Spi;
use clap::{Args, Subcommand};

use super::columns::aligned;
use crate::control::{Listed, NewSa, Request};

/// What stands below the help.
pub const REKEY: &str = "\
A new key for one direction, from gateway A to its peer B, without losing a packet:
  A  causeway key new A-2.key                  and copy A-2.key, not A-2.key.sequence, to B
  B  causeway local sa install --gateway gateway-1 --spi 0x2002 --key-file A-2.key
  A  causeway local sa switch --gateway gateway-1 --spi 0x2002 --key-file A-2.key
  B  causeway local sa retire --spi 0x2001

What comes this way lasts as long as the process. Write SPI and key file into the configurations of
both ends as well, so that the next start uses them.";

/// What is asked.
#[derive(Debug, Subcommand)]
pub enum Sa {
    /// Show every SA: its SPI, where it runs, what it has carried. Never its key.
    List {
        /// As JSON, one array, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Receive on one more SA. When this returns, packets on it are opened.
    Install(New),
    /// Send on another SA. When this returns, the next packet goes out on it.
    ///
    /// The SA in use is dropped and its key wiped. The peer must have installed the new one before.
    Switch(New),
    /// Receive on an SA no longer, once packets that are still on their way have come.
    Retire {
        /// Its SPI, decimal or with 0x in front.
        #[arg(long, value_name = "SPI", value_parser = spi)]
        spi: Spi,
        /// How long packets under it are still opened.
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        after: u32,
    },
}

/// An SA that is to come.
#[derive(Debug, Args)]
pub struct New {
    /// The gateway, by its name in the configuration.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The worker, by its number in `causeway local sa list`; may be left out if the gateway has one.
    #[arg(long, value_name = "NUMBER")]
    worker: Option<u32>,
    /// The peering, by its name; may be left out if the worker has one.
    #[arg(long, value_name = "NAME")]
    peering: Option<String>,
    /// The SPI, decimal or with 0x in front: inbound unique on this host, outbound the one that the
    /// peer has installed.
    #[arg(long, value_name = "SPI", value_parser = spi)]
    spi: Spi,
    /// The SA's key file, made by `causeway key new`; to switch, with FILE.sequence beside it.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

impl Sa {
    /// Whether the answer is for programs.
    pub fn wants_json(&self) -> bool {
        matches!(self, Self::List { json: true })
    }

    /// As it goes over the socket.
    ///
    /// # Errors
    /// The key file's path is none.
    pub fn request(self) -> anyhow::Result<Request> {
        Ok(match self {
            Self::List { .. } => Request::SaList {},
            Self::Install(new) => Request::SaInstall(new.wanted()?),
            Self::Switch(new) => Request::SaSwitch(new.wanted()?),
            Self::Retire { spi, after } => Request::SaRetire {
                spi: spi.get(),
                after_seconds: after.into(),
            },
        })
    }
}

impl New {
    fn wanted(self) -> anyhow::Result<NewSa> {
        Ok(NewSa {
            gateway: self.gateway,
            worker: self.worker,
            peering: self.peering,
            spi: self.spi.get(),
            // The role has a directory of its own.
            key_file: absolute(&self.key_file)?,
        })
    }
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

fn spi(text: &str) -> Result<Spi, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let spi = number.ok().and_then(Spi::new);
    spi.ok_or_else(|| "expected 256 to 4294967295, or 0x100 to 0xffffffff".to_owned())
}

/// The SAs, a line each.
pub fn table(sas: &[Listed], now: SystemTime) -> String {
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

fn row(listed: &Listed, now: SystemTime) -> [String; 11] {
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
    use crate::status;

    #[test]
    fn spis_are_read_in_both_ways() {
        assert_eq!(spi("0x2001"), spi("8193"));
        assert_eq!(spi("4294967295").map(Spi::get), Ok(u32::MAX));
        for text in ["255", "0xff", "-1", "4294967296", "0x", "", "spi"] {
            assert!(spi(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_sa() {
        let sa = |direction, left| Listed {
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
