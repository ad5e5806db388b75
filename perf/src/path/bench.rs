//! The measurement of one point: a worker, its device in memory and its load.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use causeway_esp::Opened;
use causeway_gateway::{Control, Stage, Worker};

use super::aead::clock;
use super::load::{self, ETHERNET, Load};
use super::points::{PACKETS, Point};
use super::ring::{Ends, Parts, Ring};
use crate::engine::figures::Direction;
use crate::machine::thread_time;
use crate::spread::median;

/// A worker, its device and the packets that it receives.
pub struct Bench<'a> {
    point: Point,
    worker: Worker<Ring<'a>>,
    control: Control,
    ends: Rc<RefCell<Ends<'a>>>,
    load: Load,
}

/// The cost of a packet in one round.
#[derive(Clone, Copy)]
pub struct Round {
    pub ns: f64,
    /// In the order of [`Stage::ALL`], from the worker's own profile: the mean of the timed bursts, clock readings
    /// included. NaN for a stage that no packet passed.
    pub stages: [f64; Stage::ALL.len()],
}

impl<'a> Bench<'a> {
    pub fn new(point: Point, memory: &mut Parts<'a>) -> Result<Bench<'a>> {
        let (ring, ends) = Ring::new(memory, point.packets(), point.packets())
            .context("cannot create the eventfd that wakes the worker")?;
        let (worker, control) = Worker::new(load::config(point)?, ring)?;
        Ok(Bench {
            point,
            worker,
            control,
            ends,
            load: Load::new(point)?,
        })
    }

    pub fn point(&self) -> Point {
        self.point
    }

    /// Measures nanoseconds per packet, in all and by stage.
    pub fn round(&mut self) -> Result<Round> {
        let before = self.control.counters.profile().stages;
        let repeats = (PACKETS / self.point.packets()).max(1);
        let times = (0..repeats).map(|_| {
            self.refill(|_, _| {})?;
            Ok(self.run()?.as_nanos() as f64 / self.point.packets() as f64)
        });
        let ns = median(times.collect::<Result<_>>()?);
        let after = self.control.counters.profile().stages;
        let stages = Stage::ALL.map(|stage| {
            let (before, after) = (before[stage], after[stage]);
            let time = after.nanoseconds - before.nanoseconds;
            time as f64 / (after.packets - before.packets) as f64
        });
        Ok(Round { ns, stages })
    }

    /// Compares the packets that the worker sends with those that it received, byte by byte.
    pub fn check(&mut self) -> Result<()> {
        let mut expected = Vec::new();
        self.refill(|packet, tunnel| expected.push((tunnel, packet.to_vec())))?;
        self.ends.borrow_mut().keeps = true;
        self.run()?;
        let mut ends = self.ends.borrow_mut();
        ends.keeps = false;
        let sent = ends.sent.iter().map(|frame| &frame.packet()[ETHERNET..]);
        let mut sent_packets = match self.point.direction {
            Direction::Open => sent.map(<[u8]>::to_vec).collect(),
            Direction::Seal => {
                expected
                    .iter_mut()
                    .for_each(|(_, packet)| load::forwarded(packet));
                opened(self.point, sent)?
            }
        };
        let mut expected: Vec<_> = expected.into_iter().map(|(_, packet)| packet).collect();
        // Packets of different SAs may overtake each other.
        for packets in [&mut expected, &mut sent_packets] {
            packets.sort_by_key(|packet| load::number(packet));
        }
        ensure!(
            sent_packets == expected,
            "the sent packets differ from the received packets"
        );
        drop(ends);
        // Returns the frames to the device.
        self.worker.round(Instant::now());
        Ok(())
    }

    /// Fills the receive queue with new packets.
    fn refill(&mut self, mut seen: impl FnMut(&[u8], usize)) -> Result<()> {
        let mut ends = self.ends.borrow_mut();
        let ends = &mut *ends;
        for mut frame in ends.done.drain(..) {
            let (packet, tunnel) = self.load.fill(&mut frame)?;
            seen(packet, tunnel);
            ends.ready.push(frame);
        }
        ends.ready.reverse();
        Ok(())
    }

    /// Processes all packets with the calls of the worker's own loop.
    fn run(&mut self) -> Result<Duration> {
        let before = self.control.counters.totals();
        let start = thread_time()?;
        for _ in 0..self.point.packets().div_ceil(self.point.batch) {
            self.worker.process_commands();
            self.worker.round(Instant::now());
        }
        let time = thread_time()?.saturating_sub(start);
        let after = self.control.counters.totals();
        if after.sent - before.sent != self.point.packets() as u64 {
            let drops: Vec<_> = after.drops.iter().filter(|&(_, count)| count > 0).collect();
            bail!(
                "expected the worker to send {} packets, but it sent {}; drops: {drops:?}",
                self.point.packets(),
                after.sent - before.sent
            );
        }
        Ok(time.saturating_sub(clock()?))
    }
}

/// Opens sealed packets as the peers do.
fn opened<'a>(point: Point, sent: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>> {
    let mut sas = HashMap::new();
    sent.map(|packet| {
        let tunnel = u32::from_be_bytes(packet[16..20].try_into()?) - load::peer(0).to_bits();
        let sa = match sas.entry(tunnel) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(load::inbound(point.cipher, tunnel as usize)?),
        };
        let mut out = vec![0; packet.len()];
        match sa.open(&packet[28..], packet[1], &mut out)? {
            Opened::Packet { len } => Ok(out[..len].to_vec()),
            Opened::Dummy => bail!("unexpected dummy packet"),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::points::{Place, groups};
    use crate::path::ring::Memory;

    /// Covers every kind of point. Frames in L2 keep the number of packets small.
    #[test]
    fn packets_are_intact_and_all_frames_return() -> Result<()> {
        let mut memory = Memory::default();
        for point in groups(false).into_iter().flat_map(|group| group.points) {
            if point.place != Place::L2 || point.sas > 100 {
                continue;
            }
            let mut parts = memory.parts([point.frames()].into_iter());
            let mut bench = Bench::new(point, &mut parts)?;
            bench.check().with_context(|| format!("{point:?}"))?;
            bench.refill(|_, _| {})?;
            bench.run()?;
            let ends = bench.ends.borrow();
            assert_eq!(ends.done.len(), point.packets(), "{point:?}");
            assert!(ends.ready.is_empty() && ends.sent.is_empty(), "{point:?}");
        }
        Ok(())
    }

    #[test]
    fn a_damaged_packet_is_detected() -> Result<()> {
        let mut memory = Memory::default();
        for point in &groups(false)[0].points {
            let mut parts = memory.parts([point.frames()].into_iter());
            let mut bench = Bench::new(*point, &mut parts)?;
            bench.refill(|_, _| {})?;
            let last = bench.ends.borrow().ready[0].len as usize - 1;
            bench.ends.borrow_mut().ready[0].room[last] ^= 1;
            match point.direction {
                // The worker cannot detect a damaged plaintext packet.
                Direction::Seal => drop(bench.run()?),
                Direction::Open => {
                    let error = bench.run().expect_err("a forged packet").to_string();
                    assert!(error.contains("AuthenticationFailed, 1"), "{error}");
                }
            }
        }
        Ok(())
    }
}
