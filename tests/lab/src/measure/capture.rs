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

/// Bounds the file to 75 MB.
const MAX_FRAMES: u32 = 50_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// tcpdump on the trunk, at the side of VPC 1.
#[derive(Debug)]
pub struct Capture(Process);

impl Capture {
    /// Starts it and waits until it listens.
    pub fn start(lab: &Lab) -> Result<Self> {
        let mut command = Command::new("tcpdump");
        // Immediate mode, or the last block of packets is lost at the end.
        command.args(["-i", TRUNK, "-n", "-s", "0", "-B", "16384"]);
        command.args(["--immediate-mode", "-U", "-w", "-"]);
        command.args(["-c", &MAX_FRAMES.to_string()]);
        let mut process = lab.spawn(Site::switch(1), "tcpdump", &command)?;
        process.wait_until(PATIENCE, |process| {
            Ok(process.stderr()?.contains("listening on"))
        })?;
        Ok(Self(process))
    }

    /// Ends it and counts what it saw.
    pub fn stop(self, marker: &Marker) -> Result<Census> {
        let mut process = self.0;
        if process.ended()?.is_none() {
            process.signal(Signal::INT)?;
        }
        ensure!(
            process.wait(PATIENCE)?.is_some(),
            "tcpdump did not end within {PATIENCE:?} of SIGINT"
        );
        let missed = missed(&process.stderr()?).context("tcpdump gave no count of lost packets")?;
        ensure!(missed == 0, "tcpdump missed {missed} packets: no verdict");
        pcap::census(&fs::read(process.stdout_file())?, marker)
    }
}

/// "12 packets dropped by kernel" at the end of tcpdump's words.
fn missed(words: &str) -> Option<u64> {
    let line = words
        .lines()
        .find(|line| line.ends_with("dropped by kernel"))?;
    line.split(' ').next()?.parse().ok()
}

/// What crossed the trunk while a marked stream ran over it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trunk {
    /// What the capture saw.
    pub census: Census,
    /// What the two ends of the stream saw.
    pub stream: Stream,
}

/// Sends a marked stream there and back and captures the trunk meanwhile.
pub fn trunk(lab: &Lab, from: Site, to: Site) -> Result<Trunk> {
    let marker = Marker::random()?;
    let capture = Capture::start(lab)?;
    let stream = stream::run(lab, from, to, &marker);
    let census = capture.stop(&marker)?;
    let stream = stream?;
    Ok(Trunk { census, stream })
}

impl Trunk {
    /// The marker came through in plaintext at both ends; without that its
    /// absence from the trunk would prove nothing.
    pub fn arrived(&self) -> Fact {
        Fact::new(
            "marker-arrived",
            self.stream.intact(),
            self.stream.to_string(),
        )
    }

    /// The trunk carried ESP in the configured form and nothing else. The routers may ask for each
    /// other's MAC address, by ARP and by neighbour discovery.
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
        let what = match encapsulation {
            Encapsulation::Udp => "ESP in UDP 4500",
            Encapsulation::Esp => "ESP",
        };
        let mut figure = format!(
            "{} frames: {wanted} {what} over {} ({there} there, {back} back), {} ARP, {} NDP, {} other; marker found {} times",
            census.frames,
            options.outer,
            census.arp,
            census.ndp,
            census.other + unwanted,
            census.markers
        );
        if census.truncated > 0 {
            figure += &format!("; {} frames cut short", census.truncated);
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
    fn lost_packets_are_read_from_the_last_words() {
        let words = "tcpdump: listening on x\n10 packets captured\n10 packets received by filter\n3 packets dropped by kernel\n";
        assert_eq!(missed(words), Some(3));
        assert_eq!(missed("tcpdump: x: No such device exists"), None);
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
    fn any_plain_frame_or_marker_spoils_the_fact() {
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
