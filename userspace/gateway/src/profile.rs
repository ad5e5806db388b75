//! A worker's profile: time by stage, burst lengths and ring occupancy. It is published beside the
//! [`Counters`](crate::Counters); only the worker writes it, without read-modify-write.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use causeway_device::Occupancy;
use crossbeam::utils::CachePadded;

use crate::stages::{Stage, Stages};

/// A histogram of burst lengths, without empty bursts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bursts(pub [u64; Bursts::BOUNDS.len()]);

impl Bursts {
    /// The inclusive upper bound of each class in packets.
    pub const BOUNDS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, u64::MAX];

    /// The class of a burst with `packets` packets, at least one.
    #[inline]
    pub(crate) fn class(packets: usize) -> usize {
        let class = packets.next_power_of_two().trailing_zeros() as usize;
        class.min(Self::BOUNDS.len() - 1)
    }
}

/// Samples of the rings' occupancy: one in each timed round, after its burst was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rings {
    /// The number of samples.
    pub samples: u64,
    /// Packets in the receive rings, the burst included: sum of all samples.
    pub receive: u64,
    /// Frames in the fill rings: sum of all samples.
    pub fill: u64,
    /// Packets in the transmit ring that the kernel had not sent yet: sum of all samples.
    pub transmit: u64,
    /// The capacity of the rings, the same in every sample.
    pub room: Room,
}

/// The capacity of rings in entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The receive rings of all queues.
    pub receive: u64,
    /// The fill rings of all queues; workers on the same queue share them.
    pub fill: u64,
    /// The transmit ring.
    pub transmit: u64,
}

/// A worker's profile since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Time and packets by stage.
    pub stages: Stages,
    /// Bursts by length.
    pub bursts: Bursts,
    /// Occupancy of the rings.
    pub rings: Rings,
}

impl Rings {
    #[cold]
    pub(crate) fn add(&mut self, received: usize, now: Occupancy) {
        self.samples += 1;
        self.receive += (now.receive.entries + received) as u64;
        self.fill += now.fill.entries as u64;
        self.transmit += now.transmit.entries as u64;
        self.room = Room {
            receive: now.receive.room as u64,
            fill: now.fill.room as u64,
            transmit: now.transmit.room as u64,
        };
    }
}

const STAGES: usize = 2 * Stage::ALL.len();
const RINGS: usize = 7;

/// The published [`Profile`].
#[derive(Debug)]
pub(crate) struct Cells {
    bursts: CachePadded<[AtomicU64; Bursts::BOUNDS.len()]>,
    timed: CachePadded<[AtomicU64; STAGES + RINGS]>,
}

impl Cells {
    pub(crate) fn new() -> Self {
        Self {
            bursts: CachePadded::new([const { AtomicU64::new(0) }; Bursts::BOUNDS.len()]),
            timed: CachePadded::new([const { AtomicU64::new(0) }; STAGES + RINGS]),
        }
    }

    /// Counts a burst with `packets` packets, at least one.
    #[inline]
    pub(crate) fn burst(&self, packets: usize) {
        let cell = &self.bursts[Bursts::class(packets)];
        cell.store(cell.load(Relaxed) + 1, Relaxed);
    }

    #[cold]
    pub(crate) fn publish(&self, stages: &Stages, rings: &Rings) {
        let shares = stages.iter().map(|(_, share)| share);
        let shares = shares.flat_map(|share| [share.packets, share.nanoseconds]);
        let room = rings.room;
        let rings = [
            rings.samples,
            rings.receive,
            rings.fill,
            rings.transmit,
            room.receive,
            room.fill,
            room.transmit,
        ];
        for (cell, value) in self.timed.iter().zip(shares.chain(rings)) {
            cell.store(value, Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Profile {
        let at = |cell: usize| self.timed[cell].load(Relaxed);
        let mut stages = Stages::default();
        for stage in Stage::ALL {
            stages[stage].packets = at(2 * stage as usize);
            stages[stage].nanoseconds = at(2 * stage as usize + 1);
        }
        Profile {
            stages,
            bursts: Bursts(std::array::from_fn(|class| {
                self.bursts[class].load(Relaxed)
            })),
            rings: Rings {
                samples: at(STAGES),
                receive: at(STAGES + 1),
                fill: at(STAGES + 2),
                transmit: at(STAGES + 3),
                room: Room {
                    receive: at(STAGES + 4),
                    fill: at(STAGES + 5),
                    transmit: at(STAGES + 6),
                },
            },
        }
    }
}
