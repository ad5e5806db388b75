//! The program's counters.

use causeway_steering::MAX_GATEWAYS;
use causeway_steering::maps::{Counts, Traffic};
use causeway_steering::reason::{DropReason, PuntReason, counter};

/// A snapshot of the program's counters, summed over the CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    ends: Vec<u64>,
    /// The traffic to each gateway, by the gateway's index.
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

    /// Packets that reached the program.
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
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.at(counter::drop(reason))
    }

    /// Packets passed to the kernel's network stack for a reason.
    pub fn punted(&self, reason: PuntReason) -> u64 {
        self.at(counter::punt(reason))
    }

    fn at(&self, index: u32) -> u64 {
        self.ends[index as usize]
    }
}
