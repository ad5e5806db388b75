//! Numbered UDP packets with timestamps over many flows, while something else runs. Every arrival is recorded, so that any
//! time window can be judged afterwards.

use std::net::UdpSocket;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::FLOOD_PORT;
use super::direction::{Direction, Directions};
use super::echo::{self, TICK};
use super::marker::{LENGTH, Marker};
use crate::{Lab, Site};

/// Marker, flow (2 bytes), number (4), send time (8).
const HEADER: usize = LENGTH + 14;
/// The IPv4 and UDP headers of an inner packet.
const HEADERS: u16 = 28;
/// The sizes of the packets of a mix: 7 small, 4 medium, 1 large.
const IMIX: [u16; 12] = [64, 576, 64, 64, 576, 64, 1408, 64, 576, 64, 64, 576];
const FIRST_SOURCE_PORT: u16 = 30_000;
/// The wait for late packets and duplicates after the last arrival.
const QUIET: Duration = Duration::from_secs(1);
/// The largest burst of a sender that is late. The ring of a veth has room for 256 packets.
const BURST: u32 = 16;

/// The size of the packets, with IPv4 headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// All packets of this size in bytes, at least [`Size::LEAST`].
    Fixed(u16),
    /// The simple Internet mix: 7 packets of 64 bytes, 4 of 576, 1 of 1408.
    Imix,
}

impl Size {
    /// The smallest size, which has room for the header of the flood.
    pub const LEAST: u16 = HEADERS + HEADER as u16;

    /// The size of the packet with this number.
    pub fn of(self, number: u64) -> u16 {
        match self {
            Self::Fixed(size) => size.max(Self::LEAST),
            Self::Imix => IMIX[(number % IMIX.len() as u64) as usize],
        }
    }

    /// The mean size.
    pub fn mean(self) -> f64 {
        let sizes = (0..IMIX.len() as u64).map(|number| f64::from(self.of(number)));
        sizes.sum::<f64>() / IMIX.len() as f64
    }
}

/// Small packets, which cost little CPU time.
pub const SMALL: Size = Size::Fixed(188);

/// The load of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The number of flows. Each has its own source port; successive flows alternate between the inner families.
    pub flows: u16,
    /// The number of flows that together send half of all packets. The buckets of these flows are never idle; the others'
    /// are idle at times.
    pub busy_flows: u16,
    /// Packets per second, all flows together.
    pub rate: u32,
    pub size: Size,
    pub directions: Directions,
}

/// A packet that arrived. Times are nanoseconds since the flood began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub flow: u16,
    /// The number within the flow, from 0.
    pub number: u32,
    pub sent: u64,
    pub arrived: u64,
}

/// The record of one direction.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The arrivals in order.
    pub arrivals: Vec<Arrival>,
    /// The send time of each packet of each flow.
    pub sent: Vec<Vec<u64>>,
}

impl Record {
    /// The packets sent in `window` that arrived after a later one of their flow, each with the latest one before it.
    pub fn overtaken(&self, window: &Range<u64>) -> Vec<(Arrival, Arrival)> {
        let mut latest: Vec<Option<Arrival>> = vec![None; self.sent.len()];
        let mut overtaken = Vec::new();
        for &arrival in &self.arrivals {
            let before = &mut latest[usize::from(arrival.flow)];
            match before {
                Some(other) if other.number > arrival.number => {
                    if window.contains(&arrival.sent) {
                        overtaken.push((arrival, *other));
                    }
                }
                _ => *before = Some(arrival),
            }
        }
        overtaken
    }
}

/// Sets the flag on drop, also in a panic, so that the flood always ends.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Floods between the first hosts while `work` runs. Returns the records of the packets from VPC 1 and from VPC 2; a record
/// is empty if that VPC does not send. Times count from `begun`.
///
/// # Errors
/// A socket fails, or `work` does.
pub fn during<T>(
    lab: &Lab,
    plan: Plan,
    begun: Instant,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, [Record; 2])> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let running = StopOnDrop(&stop);
        let floods = [Direction::There, Direction::Back].map(|direction| {
            let stop = &stop;
            let flood = move || run(lab, direction.ends(), plan, begun, stop);
            plan.directions
                .include(direction)
                .then(|| scope.spawn(flood))
        });
        let done = work();
        drop(running);
        let [there, back] = floods.map(|flood| match flood {
            Some(flood) => flood
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            None => Ok(Record::default()),
        });
        Ok((done?, [there?, back?]))
    })
}

/// Floods from one machine to another until `stop`.
fn run(
    lab: &Lab,
    (from, to): (Site, Site),
    plan: Plan,
    begun: Instant,
    stop: &AtomicBool,
) -> Result<Record> {
    let marker = Marker::random()?;
    let receiver = echo::server(lab, to, FLOOD_PORT)?;
    let senders = (0..plan.flows)
        .map(|flow| echo::flow(lab, (from, to), flow, FIRST_SOURCE_PORT, FLOOD_PORT))
        .collect::<Result<Vec<_>>>()?;
    let all_sent = AtomicBool::new(false);
    thread::scope(|scope| {
        let arrivals = scope.spawn(|| receive(&receiver, &marker, begun, &all_sent));
        let sent = send(&senders, plan, &marker, begun, stop);
        all_sent.store(true, Ordering::Release);
        let arrivals = arrivals
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Record {
            arrivals,
            sent: sent?,
        })
    })
}

fn send(
    senders: &[UdpSocket],
    plan: Plan,
    marker: &Marker,
    begun: Instant,
    stop: &AtomicBool,
) -> Result<Vec<Vec<u64>>> {
    let gap = Duration::from_secs(1) / plan.rate.max(1);
    let mut payload = vec![0; usize::from(u16::MAX)];
    payload[..LENGTH].copy_from_slice(marker.bytes());
    let mut sent = vec![Vec::new(); senders.len()];
    let (busy, all_flows) = (usize::from(plan.busy_flows), senders.len());
    let mut turns = [0..busy, busy..all_flows].map(Iterator::cycle);
    let mut due = Instant::now();
    let mut all = 0;
    while !stop.load(Ordering::Relaxed) {
        for turn in &mut turns {
            let Some(flow) = turn.next() else { continue };
            let now = Instant::now();
            if due > now {
                thread::sleep(due - now);
            } else if now - due > gap * BURST {
                due = now;
            }
            due += gap;
            let at = begun.elapsed().as_nanos() as u64;
            payload[LENGTH..LENGTH + 2].copy_from_slice(&(flow as u16).to_be_bytes());
            let number = sent[flow].len() as u32;
            payload[LENGTH + 2..LENGTH + 6].copy_from_slice(&number.to_be_bytes());
            payload[LENGTH + 6..HEADER].copy_from_slice(&at.to_be_bytes());
            let length = usize::from(plan.size.of(all) - HEADERS);
            all += 1;
            senders[flow]
                .send(&payload[..length])
                .with_context(|| format!("cannot send packet {number} of flow {flow}"))?;
            sent[flow].push(at);
        }
    }
    Ok(sent)
}

fn receive(
    socket: &UdpSocket,
    marker: &Marker,
    begun: Instant,
    all_sent: &AtomicBool,
) -> Result<Vec<Arrival>> {
    socket.set_read_timeout(Some(TICK))?;
    let mut arrivals = Vec::with_capacity(1 << 20);
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut last = Instant::now();
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                last = Instant::now();
                let arrived = (last - begun).as_nanos() as u64;
                arrivals.extend(parse(&buffer[..length], marker, arrived));
            }
            Err(error) if echo::timed_out(&error) => {
                if all_sent.load(Ordering::Acquire) && last.elapsed() > QUIET {
                    return Ok(arrivals);
                }
            }
            Err(error) => return Err(error).context("the flood cannot receive"),
        }
    }
}

/// An arrival of this flood.
fn parse(packet: &[u8], marker: &Marker, arrived: u64) -> Option<Arrival> {
    let rest = packet.strip_prefix(marker.bytes())?;
    let (flow, rest) = rest.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    Some(Arrival {
        flow: u16::from_be_bytes(*flow),
        number: u32::from_be_bytes(*number),
        sent: u64::from_be_bytes(*rest.first_chunk()?),
        arrived,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_has_seven_small_four_medium_and_one_large_packet() {
        let sizes: Vec<u16> = (0..24).map(|number| Size::Imix.of(number)).collect();
        let count = |size| sizes.iter().filter(|of| **of == size).count();
        assert_eq!((count(64), count(576), count(1408)), (14, 8, 2));
        assert_eq!(Size::Imix.mean(), f64::from(7 * 64 + 4 * 576 + 1408) / 12.0);
    }

    #[test]
    fn an_overtaken_packet_is_told_with_the_one_before_it() {
        let arrival = |flow, number| Arrival {
            flow,
            number,
            sent: 10 * u64::from(number),
            arrived: 0,
        };
        let record = Record {
            arrivals: [(0, 0), (1, 3), (0, 2), (0, 1), (0, 3)]
                .map(|(flow, number)| arrival(flow, number))
                .into(),
            sent: vec![vec![0, 10, 20, 30]; 2],
        };
        let told = vec![(arrival(0, 1), arrival(0, 2))];
        assert_eq!(record.overtaken(&(0..40)), told);
        assert_eq!(record.overtaken(&(20..40)), []);
    }

    #[test]
    fn every_packet_has_room_for_its_number() {
        assert_eq!(Size::Fixed(20).of(3), Size::LEAST);
        assert_eq!(
            (Size::Fixed(700).of(3), Size::Fixed(700).mean()),
            (700, 700.0)
        );
        assert!((0..12).all(|number| Size::Imix.of(number) >= Size::LEAST));
    }
}
