//! A worker's counts: summed privately, published once per round.

use std::ops::{Index, IndexMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use causeway_esp::LifetimeState;
use causeway_steering::DropReason;
use crossbeam::utils::CachePadded;

use crate::profile::{Cells, Profile};

/// Inner packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Inner packets. A packet that was sealed as fragments counts once.
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
pub struct Drops([u64; DropReason::COUNT]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; DropReason::COUNT])
    }
}

impl Drops {
    /// All reasons with their packets, also reasons without packets.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason, self[reason]))
    }

    /// Dropped packets of all reasons.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Index<DropReason> for Drops {
    type Output = u64;
    fn index(&self, reason: DropReason) -> &u64 {
        &self.0[reason as usize]
    }
}

impl IndexMut<DropReason> for Drops {
    fn index_mut(&mut self, reason: DropReason) -> &mut u64 {
        &mut self.0[reason as usize]
    }
}

/// A worker's counts since its start. Between two rounds `received == sent + drops.sum() + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets taken from the device.
    pub received: u64,
    /// Received packets whose result entered the transmit ring or, if it is a control message for this host, was delivered
    /// to control. A packet that was sealed as fragments counts once.
    pub sent: u64,
    /// Further packets that entered the transmit ring: ICMP errors, dummies, markers, and all but the last fragment of a
    /// packet.
    pub originated: u64,
    /// The control messages among the sent packets.
    pub messages: u64,
    /// The packets of control among the sealed packets.
    pub messages_sealed: u64,
    /// A gauge: received packets that wait for a next hop, for room in the transmit ring, for the release of a hold, or, if
    /// they are control messages, for earlier packets.
    pub waiting: u64,
    /// A gauge: packets that holds keep now.
    pub holding: u64,
    /// Packets that holds have kept.
    pub held: u64,
    /// A gauge: holds that exist now.
    pub holds: u64,
    /// Holds that reached their time limit.
    pub holds_expired: u64,
    /// Stalls: pauses of the worker's loop beyond [`STALL_AFTER`](crate::STALL_AFTER).
    pub worker_stalls: u64,
    /// Packets that were encrypted.
    pub sealed: Traffic,
    /// Packets that were authenticated and decrypted, also if they were dropped later.
    pub opened: Traffic,
    /// Dropped packets by reason.
    pub drops: Drops,
    /// Rounds of the loop.
    pub rounds: u64,
    /// Rounds in which no packet moved.
    pub empty_rounds: u64,
    /// Times that the worker slept and woke.
    pub wakeups: u64,
    /// The total time of sleep.
    pub asleep: Duration,
    /// Changes of SAs.
    pub sas: Changes,
}

/// Changes of a worker's SAs since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Inbound SAs that were added.
    pub installed: u64,
    /// Outbound SAs that replaced another.
    pub switched: u64,
    /// Inbound SAs that were removed.
    pub retired: u64,
    /// SAs that reached a soft limit.
    pub due: u64,
    /// SAs that reached a hard limit.
    pub expired: u64,
}

impl Changes {
    pub(crate) fn reached(&mut self, state: LifetimeState) {
        match state {
            LifetimeState::Active => {}
            LifetimeState::Due => self.due += 1,
            LifetimeState::Expired => self.expired += 1,
        }
    }
}

const SCALARS: usize = 24;
const CELLS: usize = SCALARS + DropReason::COUNT;

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
            self.messages,
            self.holding,
            self.held,
            self.holds,
            self.holds_expired,
            self.worker_stalls,
            self.empty_rounds,
            self.asleep.as_nanos() as u64,
            self.messages_sealed,
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
            messages: cells[15],
            holding: cells[16],
            held: cells[17],
            holds: cells[18],
            holds_expired: cells[19],
            worker_stalls: cells[20],
            empty_rounds: cells[21],
            asleep: Duration::from_nanos(cells[22]),
            messages_sealed: cells[23],
            drops,
        }
    }
}

/// The published counts of one worker. Only the worker writes them, once per round and without read-modify-write. Any
/// thread may read them at any time; a read may mix two rounds, so sums are exact only while the worker is idle.
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

    /// The worker's profile, as last published.
    pub fn profile(&self) -> Profile {
        self.profile.read()
    }

    /// The sequence numbers that each tunnel's outbound SA has left before it needs a new key, in the order of the
    /// configuration.
    pub fn sequences_remaining(&self) -> Vec<u64> {
        load(&self.sequences)
    }

    /// The path MTU to each tunnel's peer in octets, in the order of the configuration.
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
    fn published_counts_are_read_back() {
        let mut totals = Totals::from_cells(std::array::from_fn(|i| 1 << i.min(63)));
        totals.drops[DropReason::Shutdown] = 12345;
        let counters = Counters::new(2);
        counters.publish(&totals);
        counters.publish_sequence(1, 7);
        assert_eq!(counters.totals(), totals);
        assert_eq!(counters.sequences_remaining(), [u64::MAX, 7]);
    }
}
