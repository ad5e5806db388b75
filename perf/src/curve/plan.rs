//! The command line of `perf curve`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use causeway_lab::measure::flood::Size;
use causeway_lab::{Cipher, Placement};
use clap::ValueEnum;

use crate::options::Built;

/// The VPCs that send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// VPC 1 sends
    OneWay,
    /// Both VPCs send at the same time; figures are sums over both directions
    Both,
}

/// The path between the VPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Path {
    /// A peering: plain ESP
    Peering,
    /// The Internet: ESP in UDP, with a delay of 5 ms in each direction
    Internet,
}

/// The measured curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The kernel limits each gateway and the VPC, as the network of the reference did
    Capped,
    /// No limits: the capacity of this machine
    Uncapped,
    /// Both curves
    Both,
}

/// The name on the command line and in the document.
pub fn name(value: impl ValueEnum) -> String {
    let name = value.to_possible_value();
    name.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Options of `curve`.
#[derive(clap::Args)]
pub struct Args {
    /// Gateways per VPC: a number or a range within 1..=10
    #[arg(long, default_value = "1..=10", value_parser = counts)]
    pub gateways: Counts,
    /// The VPCs that send
    #[arg(long, value_enum, default_value_t = Direction::OneWay)]
    pub direction: Direction,
    /// The path between the VPCs
    #[arg(long, value_enum, default_value_t = Path::Peering)]
    pub path: Path,
    /// Placement of the gateways: remote, each on its own host, or local, all on the demux's host
    #[arg(long, default_value_t = Placement::Remote)]
    pub placement: Placement,
    /// The curves to measure
    #[arg(long, value_enum, default_value_t = Mode::Both)]
    pub mode: Mode,
    /// Limit of one gateway in Mbit/s of frames, over all sending directions [default: the reference's
    /// limit, scaled to the capacity of this machine]
    #[arg(long, value_name = "MBIT", value_parser = mbit)]
    pub cap_gateway: Option<f64>,
    /// Limit of a VPC in Mbit/s of frames, over all sending directions [default: the reference's limit,
    /// scaled as the gateway's limit]
    #[arg(long, value_name = "MBIT", value_parser = mbit)]
    pub cap_vpc: Option<f64>,
    /// Seconds of a run, without its warm-up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub duration: u32,
    /// Seconds of warm-up before each run
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=60))]
    pub warm_up: u32,
    /// Runs per point; the result is their median
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// TCP connections per direction
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub streams: u16,
    /// Size of the numbered UDP packets: bytes with the IPv4 header, or imix (7 of 64, 4 of 576, 1 of 1408)
    #[arg(long, default_value = "imix", value_parser = size)]
    pub udp_size: Size,
    /// Numbered UDP packets per second and direction
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub udp_rate: u32,
    /// AEAD of the tunnels: aes-128-gcm, aes-256-gcm or chacha20-poly1305
    #[arg(long, default_value_t = Cipher::Aes128Gcm)]
    pub cipher: Cipher,
    /// Also write curve.json, curve.csv and curve.html into this directory; it is created if missing
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub built: Built,
}

/// Numbers of gateways, in the order of measurement.
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

/// The largest packet that fits a tunnel of the lab with either encapsulation.
const LARGEST: u16 = 1438;

fn size(text: &str) -> Result<Size> {
    if text == "imix" {
        return Ok(Size::Imix);
    }
    let octets = text.parse()?;
    ensure!(
        (Size::LEAST..=LARGEST).contains(&octets),
        "expected imix, or {} to {LARGEST} bytes",
        Size::LEAST
    );
    Ok(Size::Fixed(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_counts_are_a_number_or_a_range() {
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
