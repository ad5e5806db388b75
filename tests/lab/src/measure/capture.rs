//! A capture of the trunk while a marked stream crosses it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::marker::Marker;
use super::pcap::{self, Census};
use super::stream::{self, Stream};
use crate::options::{Encapsulation, Family, Options};
use crate::topology::TRUNK;
use crate::{Fact, Lab, Process, Site};

/// Limits the file to 75 MB.
const MAX_FRAMES: u32 = 50_000;
const TIMEOUT: Duration = Duration::from_secs(10);

/// A running tcpdump on the trunk, at the end in VPC 1.
#[derive(Debug)]
pub struct Capture(Process);

impl Capture {
    /// Starts tcpdump and waits until it captures.
    pub fn start(lab: &Lab) -> Result<Self> {
        let mut command = Command::new("tcpdump");
        // Without immediate mode the last block of packets is lost at the end.
        command.args(["-i", TRUNK, "-n", "-s", "0", "-B", "16384"]);
        command.args(["--immediate-mode", "-U", "-w", "-"]);
        command.args(["-c", &MAX_FRAMES.to_string()]);
        let mut process = lab.spawn(Site::switch(1), "tcpdump", &command)?;
        process.wait_until(TIMEOUT, |process| {
            Ok(process.stderr()?.contains("listening on"))
        })?;
        Ok(Self(process))
    }

    /// Ends the capture and counts its frames.
    pub fn stop(self, marker: &Marker) -> Result<Census> {
        let mut process = self.0;
        if process.exit_status()?.is_none() {
            process.signal(Signal::INT)?;
        }
        ensure!(
            process.wait(TIMEOUT)?.is_some(),
            "tcpdump did not end within {TIMEOUT:?} after SIGINT"
        );
        let dropped =
            dropped(&process.stderr()?).context("tcpdump printed no count of dropped packets")?;
        ensure!(
            dropped == 0,
            "tcpdump dropped {dropped} packets, so the capture cannot be judged"
        );
        pcap::census(&fs::read(process.stdout_file())?, marker)
    }
}

/// The number in "12 packets dropped by kernel", which tcpdump prints at its end.
fn dropped(stderr: &str) -> Option<u64> {
    let line = stderr
        .lines()
        .find(|line| line.ends_with("dropped by kernel"))?;
    line.split(' ').next()?.parse().ok()
}

/// The trunk while a stream of a random pattern crossed it in both directions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trunk {
    /// The captured frames.
    pub census: Census,
    /// The pattern at both ends.
    pub stream: Stream,
}

/// Captures the trunk while a marked stream crosses it in both directions.
pub fn trunk(lab: &Lab, from: Site, to: Site) -> Result<Trunk> {
    let marker = Marker::random()?;
    let capture = Capture::start(lab)?;
    let stream = stream::run(lab, from, to, &marker);
    let census = capture.stop(&marker)?;
    let stream = stream?;
    Ok(Trunk { census, stream })
}

impl Trunk {
    /// Holds if the marker arrived in plaintext at both ends. Otherwise its absence from the trunk would prove nothing.
    pub fn arrived(&self) -> Fact {
        Fact::new(
            "marker-arrived",
            self.stream.intact(),
            self.stream.to_string(),
        )
    }

    /// Holds if the trunk carried only ESP in the configured encapsulation, besides the ARP and neighbour discovery of the
    /// routers.
    pub fn encrypted(&self, options: &Options) -> Fact {
        let census = &self.census;
        let encapsulation = options.encapsulation;
        let (wanted, unwanted) = match encapsulation {
            Encapsulation::Udp => (census.esp_in_udp, census.esp),
            Encapsulation::Esp => (census.esp, census.esp_in_udp),
        };
        let over_ipv6 = match options.outer {
            Family::Ipv4 => 0,
            Family::Ipv6 => wanted,
        };
        let [there, back] = census.by_source;
        let holds = unwanted == 0
            && census.other == 0
            && census.markers == 0
            && census.truncated == 0
            && wanted == there + back
            && census.over_ipv6 == over_ipv6
            && there >= self.stream.udp_arrived
            && back >= self.stream.udp_returned;
        let name = match encapsulation {
            Encapsulation::Udp => "ESP in UDP 4500",
            Encapsulation::Esp => "ESP",
        };
        let mut figure = format!(
            "{} frames: {wanted} {name} over {} ({there} there, {back} back), {} ARP, {} NDP, {} other; marker found {} times",
            census.frames,
            options.outer,
            census.arp,
            census.ndp,
            census.other + unwanted,
            census.markers
        );
        if census.truncated > 0 {
            figure += &format!("; {} truncated frames", census.truncated);
        }
        if let Some(stranger) = census.strangers.first() {
            figure += &format!("; first other frame: {stranger}");
        }
        Fact::new("trunk-encrypted", holds, figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_packets_are_read_from_the_output_of_tcpdump() {
        let stderr = "tcpdump: listening on x\n10 packets captured\n10 packets received by filter\n3 packets dropped by kernel\n";
        assert_eq!(dropped(stderr), Some(3));
        assert_eq!(dropped("tcpdump: x: No such device exists"), None);
    }

    fn trunk() -> Trunk {
        Trunk {
            census: Census {
                frames: 21,
                arp: 1,
                esp_in_udp: 20,
                by_source: [10, 10],
                ..Census::default()
            },
            stream: Stream {
                udp_sent: 8,
                udp_arrived: 8,
                udp_returned: 8,
                ..Stream::default()
            },
        }
    }

    #[test]
    fn a_plaintext_frame_or_a_marker_fails_the_fact() {
        let udp = Options::new("c", "x");
        let esp = Options {
            encapsulation: Encapsulation::Esp,
            ..udp.clone()
        };
        let ipv6 = Options {
            outer: Family::Ipv6,
            ..udp.clone()
        };
        assert!(trunk().encrypted(&udp).holds);
        assert!(!trunk().encrypted(&esp).holds);
        assert!(!trunk().encrypted(&ipv6).holds);
        type Spoil = fn(&mut Census);
        let spoils: [Spoil; 6] = [
            |census| census.other = 1,
            |census| census.markers = 1,
            |census| census.truncated = 1,
            |census| census.esp = 1,
            |census| census.by_source = [0, 20],
            |census| census.over_ipv6 = 1,
        ];
        for spoil in spoils {
            let mut trunk = trunk();
            spoil(&mut trunk.census);
            assert!(!trunk.encrypted(&udp).holds);
        }
    }
}
