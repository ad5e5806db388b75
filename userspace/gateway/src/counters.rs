//! What a worker counts: added up privately, published once per batch.

use std::ops::{Index, IndexMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use causeway_esp::Stage;
use causeway_steering::Drop;
use crossbeam::utils::CachePadded;

use crate::profile::{Cells, Profile};

/// Inner packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Inner packets. A packet that was sealed in fragments counts once.
    pub packets: u64,
    /// Inner IP octets, headers included.
    pub bytes: u64,
}

impl Traffic {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// Dropped packets by reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops([u64; Drop::COUNT]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; Drop::COUNT])
    }
}

impl Drops {
    /// All reasons with their packets, also those with none.
    pub fn iter(&self) -> impl Iterator<Item = (Drop, u64)> + '_ {
        Drop::ALL.iter().map(|&reason| (reason, self[reason]))
    }

    /// Dropped packets of all reasons.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Index<Drop> for Drops {
    type Output = u64;
    fn index(&self, reason: Drop) -> &u64 {
        &self.0[reason as usize]
    }
}

impl IndexMut<Drop> for Drops {
    fn index_mut(&mut self, reason: Drop) -> &mut u64 {
        &mut self.0[reason as usize]
    }
}

/// A worker's counts since its start. At every batch boundary
/// `received == sent + drops.sum() + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets taken from the device.
    pub received: u64,
    /// Received packets whose result was given to the device or, where it is a word of a peer's demux
    /// to this host's, to control. One that was sealed in fragments counts once.
    pub sent: u64,
    /// Packets given to the device beyond those: ICMP errors, dummies, control's own, and the fragments of
    /// a packet but the last.
    pub originated: u64,
    /// Those that were given to control.
    pub words: u64,
    /// A gauge: received packets that wait for a next hop, for room in the transmit ring, for the
    /// release of a hold, or, as words, for those before them.
    pub waiting: u64,
    /// A gauge: those that are held.
    pub holding: u64,
    /// Packets that a hold has kept.
    pub held: u64,
    /// A gauge: holds.
    pub holds: u64,
    /// Holds that came to their time limit.
    pub holds_expired: u64,
    /// Times that the worker had stood still.
    pub standstills: u64,
    /// Plaintext that was encrypted.
    pub sealed: Traffic,
    /// Plaintext that was authenticated and decrypted, whatever became of it afterwards.
    pub opened: Traffic,
    /// Dropped packets by reason.
    pub drops: Drops,
    /// Rounds of the loop.
    pub rounds: u64,
    /// Those in which nothing moved.
    pub empty_rounds: u64,
    /// Times that the worker slept and woke.
    pub wakeups: u64,
    /// How long it slept.
    pub asleep: Duration,
    /// SAs that came and went.
    pub sas: Changes,
}

/// SAs of a worker that came, went, or reached a limit of their lifetime, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Inbound SAs that were added.
    pub installed: u64,
    /// Times that an outbound SA took over from another.
    pub switched: u64,
    /// Inbound SAs that went.
    pub retired: u64,
    /// SAs that reached a soft limit.
    pub due: u64,
    /// SAs that reached a hard limit.
    pub expired: u64,
}

impl Changes {
    pub(crate) fn reached(&mut self, stage: Stage) {
        match stage {
            Stage::Young => {}
            Stage::Due => self.due += 1,
            Stage::Expired => self.expired += 1,
        }
    }
}

const SCALARS: usize = 23;
const CELLS: usize = SCALARS + Drop::COUNT;

impl Totals {
    /// Whether every received packet is accounted for.
    pub fn balanced(&self) -> bool {
        self.received == self.sent + self.drops.sum() + self.waiting
    }

    fn cells(&self) -> [u64; CELLS] {
        let mut cells = [0; CELLS];
        let (scalars, drops) = cells.split_at_mut(SCALARS);
        scalars.copy_from_slice(&[
            self.received,
            self.sent,
            self.originated,
            self.waiting,
            self.sealed.packets,
            self.sealed.bytes,
            self.opened.packets,
            self.opened.bytes,
            self.rounds,
            self.wakeups,
            self.sas.installed,
            self.sas.switched,
            self.sas.retired,
            self.sas.due,
            self.sas.expired,
            self.words,
            self.holding,
            self.held,
            self.holds,
            self.holds_expired,
            self.standstills,
            self.empty_rounds,
            self.asleep.as_nanos() as u64,
        ]);
        drops.copy_from_slice(&self.drops.0);
        cells
    }

    fn from_cells(cells: [u64; CELLS]) -> Self {
        let mut drops = Drops::default();
        drops.0.copy_from_slice(&cells[SCALARS..]);
        Self {
            received: cells[0],
            sent: cells[1],
            originated: cells[2],
            waiting: cells[3],
            sealed: Traffic {
                packets: cells[4],
                bytes: cells[5],
            },
            opened: Traffic {
                packets: cells[6],
                bytes: cells[7],
            },
            rounds: cells[8],
            wakeups: cells[9],
            sas: Changes {
                installed: cells[10],
                switched: cells[11],
                retired: cells[12],
                due: cells[13],
                expired: cells[14],
            },
            words: cells[15],
            holding: cells[16],
            held: cells[17],
            holds: cells[18],
            holds_expired: cells[19],
            standstills: cells[20],
            empty_rounds: cells[21],
            asleep: Duration::from_nanos(cells[22]),
            drops,
        }
    }
}

/// The published counts of one worker. Written by the worker alone, once per batch and without
/// read-modify-write; readable from any thread at any time. A reader may meet two batches at once,
/// so sums are exact only while the worker rests.
#[derive(Debug)]
pub struct Counters {
    cells: CachePadded<[AtomicU64; CELLS]>,
    pub(crate) profile: Cells,
    sequences: Box<[AtomicU64]>,
    paths: Box<[AtomicU64]>,
}

impl Counters {
    pub(crate) fn new(tunnels: usize) -> Self {
        Self {
            cells: CachePadded::new([const { AtomicU64::new(0) }; CELLS]),
            profile: Cells::new(),
            sequences: (0..tunnels).map(|_| AtomicU64::new(u64::MAX)).collect(),
            paths: (0..tunnels).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The counts as last published.
    pub fn totals(&self) -> Totals {
        Totals::from_cells(std::array::from_fn(|i| self.cells[i].load(Relaxed)))
    }

    /// Where the worker's time went, as last published.
    pub fn profile(&self) -> Profile {
        self.profile.read()
    }

    /// For each tunnel, in the order of the configuration, how many sequence numbers its outbound
    /// SA has left before it needs a new key.
    pub fn sequences_remaining(&self) -> Vec<u64> {
        load(&self.sequences)
    }

    /// For each tunnel the largest outer packet that the path to its peer takes, in octets.
    pub fn path_mtus(&self) -> Vec<u64> {
        load(&self.paths)
    }

    pub(crate) fn publish(&self, totals: &Totals) {
        for (cell, value) in self.cells.iter().zip(totals.cells()) {
            cell.store(value, Relaxed);
        }
    }

    pub(crate) fn publish_sequence(&self, tunnel: usize, remaining: u64) {
        self.sequences[tunnel].store(remaining, Relaxed);
    }

    pub(crate) fn publish_path(&self, tunnel: usize, mtu: u64) {
        self.paths[tunnel].store(mtu, Relaxed);
    }
}

fn load(cells: &[AtomicU64]) -> Vec<u64> {
    cells.iter().map(|cell| cell.load(Relaxed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read() {
        let mut totals = Totals::from_cells(std::array::from_fn(|i| 1 << i.min(63)));
        totals.drops[Drop::Shutdown] = 12345;
        let counters = Counters::new(2);
        counters.publish(&totals);
        counters.publish_sequence(1, 7);
        assert_eq!(counters.totals(), totals);
        assert_eq!(counters.sequences_remaining(), [u64::MAX, 7]);
    }
}
