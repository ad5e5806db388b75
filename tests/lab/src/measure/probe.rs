//! A numbered UDP probe over many flows, which counts lost, reordered and duplicated packets.

use std::fmt;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::PROBE_PORT;
use super::echo::{self, TICK};
use super::marker::{LENGTH, Marker};
use super::tally::Tally;
use crate::{Fact, Lab, Site};

/// Marker, flow (4 bytes), number (8 bytes).
const HEADER: usize = LENGTH + 12;
/// The largest burst of a sender that is late. The ring of a veth has room for 256 packets.
const BURST: u64 = 16;
/// The fact allows one lost packet in this many.
const LOSS_BOUND: u64 = 100;
const FIRST_SOURCE_PORT: u16 = 22_000;

/// The size of a probe.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The number of flows. Each has its own source port; successive flows alternate between the inner families.
    pub flows: u16,
    /// Packets of each flow.
    pub packets_per_flow: u64,
    /// Packets per second, all flows together.
    pub rate: u64,
    /// UDP payload in bytes, at least 28.
    pub payload: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            flows: 64,
            packets_per_flow: 500,
            rate: 20_000,
            payload: 200,
        }
    }
}

/// The result of a probe.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Probe {
    /// Flows of the probe.
    pub flows: u64,
    /// Packets sent.
    pub sent: u64,
    /// Distinct packets received.
    pub received: u64,
    /// Packets that were never received.
    pub lost: u64,
    /// Packets received after a later packet of their flow.
    pub reordered: u64,
    /// Duplicates of packets received.
    pub duplicated: u64,
    /// Duration of the sending in seconds.
    pub seconds: f64,
}

impl Probe {
    /// Holds if no packet was reordered or duplicated, and at most 1 % were lost.
    pub fn fact(&self, key: &str) -> Fact {
        let whole = self.lost * LOSS_BOUND <= self.sent;
        Fact::new(key, self.in_order() && whole, self.to_string())
    }

    /// Holds if no packet was reordered or duplicated. Loss is not judged, because other traffic fills the same links.
    pub fn order(&self, key: &str) -> Fact {
        Fact::new(key, self.in_order(), self.to_string())
    }

    /// Holds if no packet was lost, reordered or duplicated.
    pub fn whole(&self, key: &str) -> Fact {
        Fact::new(key, self.in_order() && self.lost == 0, self.to_string())
    }

    fn in_order(&self) -> bool {
        self.reordered == 0 && self.duplicated == 0 && self.received > 0
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} flows, {:.0} packets/s: {} sent, {} received, {} lost, {} reordered, {} duplicated",
            self.flows,
            self.sent as f64 / self.seconds,
            self.sent,
            self.received,
            self.lost,
            self.reordered,
            self.duplicated
        )
    }
}

/// Sends the probe from one machine to another.
pub fn run(lab: &Lab, from: Site, to: Site, plan: &Plan) -> Result<Probe> {
    let marker = Marker::random()?;
    let receiver = echo::server(lab, to, PROBE_PORT)?;
    let senders = (0..plan.flows)
        .map(|flow| echo::flow(lab, (from, to), flow, FIRST_SOURCE_PORT, PROBE_PORT))
        .collect::<Result<Vec<_>>>()?;
    let all_sent = AtomicBool::new(false);
    thread::scope(|scope| {
        let arrivals = scope.spawn(|| receive(&receiver, plan, &marker, &all_sent));
        let start = Instant::now();
        let sent = send(&senders, plan, &marker);
        let seconds = start.elapsed().as_secs_f64();
        all_sent.store(true, Ordering::Release);
        let tally = arrivals
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let sent = sent?;
        Ok(Probe {
            flows: u64::from(plan.flows),
            sent,
            received: tally.received,
            lost: sent - tally.received,
            reordered: tally.reordered,
            duplicated: tally.duplicated,
            seconds,
        })
    })
}

fn send(senders: &[UdpSocket], plan: &Plan, marker: &Marker) -> Result<u64> {
    let gap = Duration::from_secs(1) / u32::try_from(plan.rate.max(1))?;
    let mut payload = vec![0; plan.payload.max(HEADER)];
    payload[..LENGTH].copy_from_slice(marker.bytes());
    let mut due = Instant::now();
    let mut sent = 0;
    for number in 0..plan.packets_per_flow {
        for (flow, socket) in (0u32..).zip(senders) {
            let now = Instant::now();
            if due > now {
                thread::sleep(due - now);
            } else if now - due > gap * BURST as u32 {
                due = now;
            }
            payload[LENGTH..LENGTH + 4].copy_from_slice(&flow.to_be_bytes());
            payload[LENGTH + 4..HEADER].copy_from_slice(&number.to_be_bytes());
            socket
                .send(&payload)
                .with_context(|| format!("cannot send packet {number} of probe flow {flow}"))?;
            sent += 1;
            due += gap;
        }
    }
    Ok(sent)
}

fn receive(
    socket: &UdpSocket,
    plan: &Plan,
    marker: &Marker,
    all_sent: &AtomicBool,
) -> Result<Tally> {
    // The wait for duplicates after the last arrival, and for packets that are still missing.
    const QUIET: Duration = Duration::from_millis(300);
    const LATE: Duration = Duration::from_secs(1);
    let sent = u64::from(plan.flows) * plan.packets_per_flow;
    socket.set_read_timeout(Some(TICK))?;
    let mut tally = Tally::new(plan.flows.into(), plan.packets_per_flow);
    let mut buffer = vec![0; plan.payload.max(HEADER) + 1];
    let mut last = Instant::now();
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                if let Some((flow, number)) = parse(&buffer[..length], marker) {
                    tally.record(flow, number);
                    last = Instant::now();
                }
            }
            Err(error) if echo::timed_out(&error) => {
                let wait = if tally.received < sent { LATE } else { QUIET };
                if all_sent.load(Ordering::Acquire) && last.elapsed() > wait {
                    return Ok(tally);
                }
            }
            Err(error) => return Err(error).context("the probe cannot receive"),
        }
    }
}

/// Flow and number of a packet of this probe.
fn parse(packet: &[u8], marker: &Marker) -> Option<(usize, u64)> {
    let rest = packet.strip_prefix(marker.bytes())?;
    let (flow, rest) = rest.split_first_chunk()?;
    let number = rest.first_chunk()?;
    Some((
        u32::from_be_bytes(*flow) as usize,
        u64::from_be_bytes(*number),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe() -> Probe {
        Probe {
            flows: 2,
            sent: 200,
            received: 198,
            lost: 2,
            reordered: 0,
            duplicated: 0,
            seconds: 1.0,
        }
    }

    #[test]
    fn one_reordered_or_duplicated_packet_fails_the_fact() {
        assert!(probe().fact("p").holds);
        let reordered = Probe {
            reordered: 1,
            ..probe()
        };
        let duplicated = Probe {
            duplicated: 1,
            ..probe()
        };
        let lossy = Probe {
            lost: 3,
            received: 197,
            ..probe()
        };
        assert!(lossy.order("p").holds && !probe().whole("p").holds);
        assert!(!reordered.order("p").holds && !duplicated.order("p").holds);
        for probe in [reordered, duplicated, lossy] {
            assert!(!probe.fact("p").holds, "{probe:?}");
        }
    }
}
