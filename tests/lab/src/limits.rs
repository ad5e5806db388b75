//! Limits that the kernel holds on the trunk: of each gateway, and of a VPC.
//!
//! They stand on the switch's end, since what a gateway transmits over AF_XDP passes no queueing
//! discipline of its own NIC. A class of HTB holds the VPC's limit and one below it each gateway's;
//! a packet belongs to the gateway whose SPI it has, so that gateways which share a host are told
//! apart as well.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::options::{Encapsulation, Family, Options};
use crate::topology::{Site, TRUNK};
use crate::{Lab, config, tool};

/// What a class may send at once after a pause: a timer of a busy machine comes late by milliseconds,
/// and what it could not send meanwhile would be lost to the limit.
const BURST: Duration = Duration::from_millis(8);
/// The longest that a packet waits for its turn: several round trips, so that the queue of a limit
/// that is used to the full never runs dry.
const QUEUE: Duration = Duration::from_millis(30);
/// The least that either holds: a few packets.
const FLOOR: f64 = 16_384.0;
/// Bytes of a gateway before the next gets its turn, where they share what the VPC's limit leaves.
const QUANTUM: u32 = 6_000;

/// Limits of each direction, in Mbit/s of Ethernet frames as they enter the trunk, without the 24
/// octets of preamble, checksum and gap that a wire adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Of one gateway.
    pub gateway_mbit: f64,
    /// Of all gateways of a VPC together.
    pub vpc_mbit: f64,
}

/// Limits in force; they go when this is dropped.
#[derive(Debug)]
pub struct Limited<'a>(&'a Lab);

impl Lab {
    /// Has the kernel hold limits on both ends of the trunk. One at a time: a second call fails, and
    /// takes the first one's away.
    ///
    /// # Errors
    /// The kernel lacks HTB or u32.
    pub fn limit(&self, limits: Limits) -> Result<Limited<'_>> {
        let limited = Limited(self);
        for vpc in [1, 2] {
            let lines = lines(self.options(), vpc, limits);
            tool::batch("tc", Some(&self.namespace(Site::switch(vpc))), &lines)
                .context("cannot limit the trunk (CONFIG_NET_SCH_HTB, CONFIG_NET_CLS_U32)")?;
        }
        Ok(limited)
    }
}

impl Limited<'_> {
    /// Packets that the limits' queues had no room for, on both ends.
    ///
    /// # Errors
    /// `tc` fails, or says what is not expected.
    pub fn dropped(&self) -> Result<u64> {
        let mut dropped = 0;
        for vpc in [1, 2] {
            let namespace = self.0.namespace(Site::switch(vpc));
            let show = ["-n", &namespace, "-s", "-j", "qdisc", "show", "dev", TRUNK];
            let text = tool::run(Command::new("tc").args(show))?;
            let queues: Vec<Queue> = serde_json::from_str(&text)
                .with_context(|| format!("`tc -s -j qdisc` in {namespace}: {text}"))?;
            let leaves = queues.iter().filter(|queue| queue.kind == "bfifo");
            dropped += leaves.map(|queue| queue.drops).sum::<u64>();
        }
        Ok(dropped)
    }
}

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        for vpc in [1, 2] {
            let namespace = self.0.namespace(Site::switch(vpc));
            let delete = ["-n", &namespace, "qdisc", "del", "dev", TRUNK, "root"];
            // Where it was not added, there is nothing to take away.
            let _ = tool::run(Command::new("tc").args(delete));
        }
    }
}

#[derive(Deserialize)]
struct Queue {
    kind: String,
    drops: u64,
}

/// What `tc` is told at a VPC's end. Its class numbers are hexadecimal.
fn lines(options: &Options, vpc: u8, limits: Limits) -> Vec<String> {
    let Limits {
        gateway_mbit,
        vpc_mbit,
    } = limits;
    // What all are promised together must not be more than the VPC's, or HTB lets it through.
    let share = gateway_mbit.min(vpc_mbit / f64::from(options.gateways));
    let rate = |mbit: f64| format!("{:.0}", mbit * 1e6);
    let bursts = |rate, ceil| {
        let (rate, ceil) = (octets(rate, BURST), octets(ceil, BURST));
        format!("burst {rate} cburst {ceil}")
    };
    let mut lines = vec![
        format!("qdisc add dev {TRUNK} root handle 1: htb"),
        format!(
            "class add dev {TRUNK} parent 1: classid 1:1 htb rate {vpc} ceil {vpc} {bursts}",
            vpc = rate(vpc_mbit),
            bursts = bursts(vpc_mbit, vpc_mbit),
        ),
    ];
    let (family, version) = match options.outer {
        Family::Ipv4 => ("ip", 20),
        Family::Ipv6 => ("ipv6", 40),
    };
    let spi_at = match options.encapsulation {
        Encapsulation::Esp => version,
        Encapsulation::Udp => version + 8,
    };
    for number in 1..=options.gateways {
        let class = 0x10 + u16::from(number);
        lines.extend([
            format!(
                "class add dev {TRUNK} parent 1:1 classid 1:{class:x} htb rate {} ceil {} {} \
                 quantum {QUANTUM}",
                rate(share),
                rate(gateway_mbit),
                bursts(share, gateway_mbit),
            ),
            format!(
                "qdisc add dev {TRUNK} parent 1:{class:x} handle {class:x}: bfifo limit {}",
                octets(share, QUEUE)
            ),
            format!(
                "filter add dev {TRUNK} parent 1: protocol {family} prio 1 u32 \
                 match u32 {:#010x} 0xffffffff at {spi_at} flowid 1:{class:x}",
                config::spi(vpc, number, 0)
            ),
        ]);
    }
    lines
}

/// What a rate carries in a time.
fn octets(mbit: f64, time: Duration) -> u64 {
    (mbit * 1e6 / 8.0 * time.as_secs_f64()).max(FLOOR) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: Options) -> Vec<String> {
        let limits = Limits {
            gateway_mbit: 100.0,
            vpc_mbit: 450.0,
        };
        lines(&options, 2, limits)
    }

    #[test]
    fn what_is_promised_is_never_more_than_the_vpc_has() {
        let options = |gateways| Options {
            gateways,
            ..Options::new("c", "x")
        };
        let promised = |gateways| {
            let lines = of(options(gateways));
            let classes = lines.iter().filter(|line| line.contains("parent 1:1 "));
            let rates = classes.map(|line| {
                let after = line.split(" rate ").nth(1).unwrap();
                after.split(' ').next().unwrap().parse::<f64>().unwrap()
            });
            rates.sum::<f64>()
        };
        assert_eq!(promised(3), 300e6);
        assert_eq!(promised(10), 450e6);
    }

    #[test]
    fn a_gateway_is_known_by_its_spi_wherever_it_stands() {
        let at = |outer, encapsulation| {
            let lines = of(Options {
                outer,
                encapsulation,
                ..Options::new("c", "x")
            });
            lines.join("\n")
        };
        assert!(
            at(Family::Ipv4, Encapsulation::Esp)
                .contains("0x00002001 0xffffffff at 20 flowid 1:11")
        );
        assert!(
            at(Family::Ipv6, Encapsulation::Udp)
                .contains("0x00002003 0xffffffff at 48 flowid 1:13")
        );
    }
}
