//! Rate limits on the trunk, of each gateway and of a whole VPC, by the kernel's traffic control.
//!
//! The limits are on the trunk at the switch, because AF_XDP bypasses the queueing discipline of a gateway's NIC. One HTB
//! class has the VPC's limit; a class below it has the limit of each gateway. The SPI of a packet selects the class, so
//! that gateways on the same host have separate limits.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::options::{Encapsulation, Family, Options};
use crate::topology::{Site, TRUNK};
use crate::{Lab, config, tool};

/// The burst of a class, as time at its rate. Timers of a busy machine are late by milliseconds, and without a burst the
/// time until the timer would be lost.
const BURST: Duration = Duration::from_millis(8);
/// The longest queueing delay: several round trips, so that the queue of a saturated class never runs empty.
const QUEUE: Duration = Duration::from_millis(30);
/// Lower bound for bursts and queues in bytes: a few packets.
const FLOOR: f64 = 16_384.0;
/// Bytes of one gateway before the next gateway's, where they share the rest of the VPC's limit.
const QUANTUM: u32 = 6_000;

/// Limits of each direction, in Mbit/s of Ethernet frames. The 24 bytes of preamble, checksum and gap on a wire do not
/// count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The limit of one gateway.
    pub gateway_mbit: f64,
    /// The limit of all gateways of a VPC together.
    pub vpc_mbit: f64,
}

/// Limits in force. Dropping the value removes them.
#[derive(Debug)]
pub struct ActiveLimits<'a>(&'a Lab);

impl Lab {
    /// Limits both ends of the trunk. A second call fails and removes the limits of the first.
    ///
    /// # Errors
    /// The kernel lacks HTB or u32.
    pub fn limit(&self, limits: Limits) -> Result<ActiveLimits<'_>> {
        let limits_in_force = ActiveLimits(self);
        for vpc in [1, 2] {
            let lines = lines(self.options(), vpc, limits);
            tool::batch("tc", Some(&self.namespace(Site::switch(vpc))), &lines)
                .context("cannot limit the trunk (CONFIG_NET_SCH_HTB, CONFIG_NET_CLS_U32)")?;
        }
        Ok(limits_in_force)
    }
}

impl ActiveLimits<'_> {
    /// Packets that full queues dropped, on both ends.
    ///
    /// # Errors
    /// `tc` fails, or its output is not as expected.
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

impl Drop for ActiveLimits<'_> {
    fn drop(&mut self) {
        for vpc in [1, 2] {
            let namespace = self.0.namespace(Site::switch(vpc));
            let delete = ["-n", &namespace, "qdisc", "del", "dev", TRUNK, "root"];
            // It fails where no limits were added.
            let _ = tool::run(Command::new("tc").args(delete));
        }
    }
}

#[derive(Deserialize)]
struct Queue {
    kind: String,
    drops: u64,
}

/// The batch for `tc` at a VPC's end. Class numbers are hexadecimal.
fn lines(options: &Options, vpc: u8, limits: Limits) -> Vec<String> {
    let Limits {
        gateway_mbit,
        vpc_mbit,
    } = limits;
    // HTB exceeds the VPC's limit if the guaranteed rates add up to more.
    let share = gateway_mbit.min(vpc_mbit / f64::from(options.gateways));
    let rate = |mbit: f64| format!("{:.0}", mbit * 1e6);
    let bursts = |rate, ceil| {
        let (rate, ceil) = (bytes(rate, BURST), bytes(ceil, BURST));
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
                bytes(share, QUEUE)
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

/// The bytes that a rate carries in a time.
fn bytes(mbit: f64, time: Duration) -> u64 {
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
    fn guaranteed_rates_never_exceed_the_limit_of_the_vpc() {
        let options = |gateways| Options {
            gateways,
            ..Options::new("c", "x")
        };
        let guaranteed = |gateways| {
            let lines = of(options(gateways));
            let classes = lines.iter().filter(|line| line.contains("parent 1:1 "));
            let rates = classes.map(|line| {
                let after = line.split(" rate ").nth(1).unwrap();
                after.split(' ').next().unwrap().parse::<f64>().unwrap()
            });
            rates.sum::<f64>()
        };
        assert_eq!(guaranteed(3), 300e6);
        assert_eq!(guaranteed(10), 450e6);
    }

    #[test]
    fn the_spi_is_matched_at_its_offset_in_every_encapsulation() {
        let filters = |outer, encapsulation| {
            let lines = of(Options {
                outer,
                encapsulation,
                ..Options::new("c", "x")
            });
            lines.join("\n")
        };
        assert!(
            filters(Family::Ipv4, Encapsulation::Esp)
                .contains("0x00002001 0xffffffff at 20 flowid 1:11")
        );
        assert!(
            filters(Family::Ipv6, Encapsulation::Udp)
                .contains("0x00002003 0xffffffff at 48 flowid 1:13")
        );
    }
}
