//! What a worker tells of its own running: published beside the [`Counters`](crate::Counters), and like them
//! written by the worker alone, without read-modify-write.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use causeway_device::Occupancy;
use crossbeam::utils::CachePadded;

use crate::stages::{Stage, Stages};

/// How many packets came at once, in all rounds that received any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bursts(pub [u64; Bursts::BOUNDS.len()]);

impl Bursts {
    /// The most packets that a burst of each class has; it has more than those of the class before.
    pub const BOUNDS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, u64::MAX];

    /// The class of a burst, which is not empty.
    #[inline]
    pub(crate) fn class(packets: usize) -> usize {
        let class = packets.next_power_of_two().trailing_zeros() as usize;
        class.min(Self::BOUNDS.len() - 1)
    }
}

/// How full the rings were when they were looked at: once in each round that was timed, after its burst was
/// taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rings {
    /// How often.
    pub looks: u64,
    /// Packets that had arrived, the burst included: sum of all looks.
    pub receive: u64,
    /// Frames that stood ready to receive into: sum of all looks.
    pub fill: u64,
    /// Packets that the kernel had not sent yet: sum of all looks.
    pub transmit: u64,
    /// How many each of them could have held, the same at every look.
    pub room: Room,
}

/// What rings hold at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The receive rings of all queues.
    pub receive: u64,
    /// The fill rings of all queues, which they share with other workers.
    pub fill: u64,
    /// The transmit ring.
    pub transmit: u64,
}

/// All that a worker knows of where its time goes, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// By stage.
    pub stages: Stages,
    /// By length of the burst.
    pub bursts: Bursts,
    /// The rings.
    pub rings: Rings,
}

impl Rings {
    #[cold]
    pub(crate) fn add(&mut self, received: usize, now: Occupancy) {
        self.looks += 1;
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

    /// Counts a burst, which is not empty.
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
            rings.looks,
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
                looks: at(STAGES),
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
