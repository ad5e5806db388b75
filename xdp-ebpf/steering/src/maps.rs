//! The types that stand in the BPF maps, written by the host and read by the kernel program.

use crate::reason::counter;
use crate::{MAX_GATEWAYS, SteerHash};

/// What the program must know of the host that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Host {
    /// The hash by which this host's peerings steer.
    pub hash: SteerHash,
    /// The pause after which a moving bucket goes over, by [`clock`](crate::bucket::clock).
    pub skew: u32,
    /// The NIC's MAC address, as words in host order.
    pub mac: [u16; 3],
    /// Keeps the size a multiple of the alignment.
    pub reserved: [u16; 3],
}

/// A gateway as the program sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Gateway {
    /// One of [`Gateway::ABSENT`], [`Gateway::LOCAL`], [`Gateway::REMOTE`], [`Gateway::UNRESOLVED`].
    pub kind: u16,
    /// A remote gateway's MAC address, as words in host order.
    pub mac: [u16; 3],
    /// A local gateway's first worker.
    pub first_worker: u16,
    /// How many workers a local gateway has, at least 1.
    pub workers: u16,
}

impl Gateway {
    /// No such gateway.
    pub const ABSENT: u16 = 0;
    /// Its workers run on this host.
    pub const LOCAL: u16 = 1;
    /// It runs on another host of the subnet, whose MAC address is known.
    pub const REMOTE: u16 = 2;
    /// It runs on another host of the subnet that has not answered for its address yet.
    pub const UNRESOLVED: u16 = 3;
}

/// What stands behind a destination: one trie over prefixes and own addresses answers for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address of the NIC.
    Own,
    /// A prefix of the peering with this index.
    Peering(u32),
}

impl Destination {
    const OWN: u32 = u32::MAX;
}

impl From<Destination> for u32 {
    fn from(destination: Destination) -> Self {
        match destination {
            Destination::Own => Destination::OWN,
            Destination::Peering(index) => index,
        }
    }
}

impl From<u32> for Destination {
    #[inline(always)]
    fn from(value: u32) -> Self {
        match value {
            Self::OWN => Self::Own,
            index => Self::Peering(index),
        }
    }
}

/// What went to one gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Octets, Ethernet header included.
    pub bytes: u64,
}

/// Everything that is counted on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// By the indices of [`counter`].
    pub ends: [u64; counter::COUNT as usize],
    /// What went to each gateway, by index.
    pub gateways: [Traffic; MAX_GATEWAYS as usize],
}

#[cfg(feature = "aya")]
mod pod {
    #![allow(unsafe_code)]
    // SAFETY: `repr(C)` structs of integers without padding; any bit pattern is a value.
    unsafe impl aya::Pod for super::Host {}
    // SAFETY: as above: six 16-bit words.
    unsafe impl aya::Pod for super::Gateway {}
    // SAFETY: as above: 64-bit words.
    unsafe impl aya::Pod for super::Counts {}
}
