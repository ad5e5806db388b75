//! What became of the packets that the program saw.

use causeway_steering::MAX_GATEWAYS;
use causeway_steering::maps::{Counts, Traffic};
use causeway_steering::reason::{Drop, Punt, counter};

/// The program's counters at one moment, summed over the CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    ends: Vec<u64>,
    /// What went to each gateway, by index.
    pub gateways: Vec<Traffic>,
}

impl Counters {
    pub(crate) fn sum<'a>(cpus: impl Iterator<Item = &'a Counts>) -> Self {
        let mut sum = Self {
            ends: vec![0; counter::COUNT as usize],
            gateways: vec![Traffic::default(); MAX_GATEWAYS as usize],
        };
        for counts in cpus {
            for (sum, count) in sum.ends.iter_mut().zip(&counts.ends) {
                *sum += count;
            }
            for (sum, traffic) in sum.gateways.iter_mut().zip(&counts.gateways) {
                sum.packets += traffic.packets;
                sum.bytes += traffic.bytes;
            }
        }
        sum
    }

    /// Packets that the program saw.
    pub fn received(&self) -> u64 {
        self.at(counter::RECEIVED)
    }

    /// Packets redirected to the sockets of workers.
    pub fn to_worker(&self) -> u64 {
        self.at(counter::TO_WORKER)
    }

    /// Packets redirected to remote gateways.
    pub fn to_gateway(&self) -> u64 {
        self.at(counter::TO_GATEWAY)
    }

    /// Packets dropped for a reason.
    pub fn dropped(&self, reason: Drop) -> u64 {
        self.at(counter::drop(reason))
    }

    /// Packets given to the kernel for a reason.
    pub fn punted(&self, reason: Punt) -> u64 {
        self.at(counter::punt(reason))
    }

    fn at(&self, index: u32) -> u64 {
        self.ends[index as usize]
    }
}
