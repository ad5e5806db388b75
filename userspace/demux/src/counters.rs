//! What became of the packets that the program saw.

use causeway_steering::maps::Traffic;
use causeway_steering::reason::{Drop, Punt, counter};

/// The program's counters at one moment, summed over the CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    values: Vec<u64>,
    /// What went to each gateway, by index.
    pub gateways: Vec<Traffic>,
}

impl Counters {
    pub(crate) fn new(values: Vec<u64>, gateways: Vec<Traffic>) -> Self {
        Self { values, gateways }
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
        self.values[index as usize]
    }
}
