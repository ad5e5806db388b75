//! What is asked for on the command line.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use causeway_lab::measure::flood::Size;
use causeway_lab::{Cipher, Placement};
use clap::ValueEnum;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// VPC 1
    OneWay,
    /// Both VPCs at the same time; figures are of both together
    Both,
}

/// What lies between the VPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Path {
    /// A peering: plain ESP
    Peering,
    /// The Internet: ESP in UDP
    Internet,
}

/// Which curve is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Each gateway and the VPC limited by the kernel, as the reference was by its network
    Capped,
    /// What this machine moves
    Uncapped,
    /// One after the other
    Both,
}

/// The name on the command line, which is also the one in the document.
pub fn name(value: impl ValueEnum) -> String {
    let name = value.to_possible_value();
    name.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Options of `curve`.
#[derive(clap::Args)]
pub struct Args {
    /// Numbers of gateways in each VPC: a number or a range, 1 to 10
    #[arg(long, default_value = "1..=10", value_parser = counts)]
    pub gateways: Counts,
    /// Who sends
    #[arg(long, value_enum, default_value_t = Direction::OneWay)]
    pub direction: Direction,
    /// What lies between the VPCs
    #[arg(long, value_enum, default_value_t = Path::Peering)]
    pub path: Path,
    /// Where the gateways run: remote, each on a host of its own, or local, all on the demux's
    #[arg(long, default_value_t = Placement::Remote)]
    pub placement: Placement,
    /// Which curves are measured
    #[arg(long, value_enum, default_value_t = Mode::Both)]
    pub mode: Mode,
    /// The limit of one gateway, in Mbit/s of frames, all directions that send together; absent:
    /// the reference's, scaled down to what this machine carries
    #[arg(long, value_name = "MBIT", value_parser = mbit)]
    pub cap_gateway: Option<f64>,
    /// The limit of a VPC, likewise; absent: the reference's, scaled as the gateway's is
    #[arg(long, value_name = "MBIT", value_parser = mbit)]
    pub cap_vpc: Option<f64>,
    /// Seconds of a run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub duration: u32,
    /// Seconds before each run that do not count
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=60))]
    pub warm_up: u32,
    /// Runs of each point, of which the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// TCP connections of each direction
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub streams: u16,
    /// The numbered UDP packets: octets of each, with its IPv4 header, or imix (7 of 64, 4 of 576, 1 of 1408)
    #[arg(long, default_value = "imix", value_parser = size)]
    pub udp_size: Size,
    /// Numbered UDP packets per second of each direction
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub udp_rate: u32,
    /// AEAD of the tunnels: aes-128-gcm, aes-256-gcm or chacha20-poly1305
    #[arg(long, default_value_t = Cipher::Aes128Gcm)]
    pub cipher: Cipher,
    /// Also write curve.json, curve.csv and curve.html into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The causeway binary
    #[arg(
        long,
        env = "CAUSEWAY_BINARY",
        default_value = "target/release/causeway"
    )]
    pub causeway: PathBuf,
    /// The kernel program's object file
    #[arg(
        long,
        env = "CAUSEWAY_XDP_OBJECT",
        default_value = "target/causeway-xdp.o"
    )]
    pub object: PathBuf,
}

/// Numbers of gateways, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(pub Vec<u8>);

fn counts(text: &str) -> Result<Counts> {
    let (first, last) = text.split_once("..=").unwrap_or((text, text));
    let range = first.parse()?..=last.parse()?;
    ensure!(
        !range.is_empty() && *range.start() >= 1 && *range.end() <= 10,
        "expected a number or a range within 1..=10"
    );
    Ok(Counts(range.collect()))
}

fn mbit(text: &str) -> Result<f64> {
    let mbit: f64 = text.parse()?;
    ensure!((1.0..=1e6).contains(&mbit), "expected 1 to 1000000 Mbit/s");
    Ok(mbit)
}

/// What a tunnel of the lab carries whole, in either encapsulation.
const LARGEST: u16 = 1438;

fn size(text: &str) -> Result<Size> {
    if text == "imix" {
        return Ok(Size::Imix);
    }
    let octets = text.parse()?;
    ensure!(
        (Size::LEAST..=LARGEST).contains(&octets),
        "expected imix, or {} to {LARGEST} octets",
        Size::LEAST
    );
    Ok(Size::Fixed(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_gateways_are_one_or_a_range() {
        let read = |text| counts(text).map(|counts| counts.0).ok();
        assert_eq!(read("3"), Some(vec![3]));
        assert_eq!(read("8..=10"), Some(vec![8, 9, 10]));
        for wrong in ["0", "11", "3..=2", "1..3", "0..=4", "a"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn packets_fit_the_tunnels() {
        assert_eq!(size("imix").unwrap(), Size::Imix);
        assert_eq!(size("1438").unwrap(), Size::Fixed(1438));
        assert!(size("1439").is_err() && size("57").is_err());
        assert!(mbit("0").is_err() && mbit("-3").is_err() && mbit("nan").is_err());
    }
}
