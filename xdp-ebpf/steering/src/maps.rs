//! The value types of the BPF maps, which the host writes and the kernel program reads.

use crate::hash::SteerHash;
use crate::limits::MAX_GATEWAYS;
use crate::reason::counter;

/// The host's own parameters for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Host {
    /// The hash with which this host's peerings steer.
    pub hash: SteerHash,
    /// The pause after which a moving bucket changes its gateway, by [`clock`](crate::bucket::clock).
    pub skew: u32,
    /// The NIC's MAC address, as words in host order.
    pub mac: [u16; 3],
    /// Padding, so that the size is a multiple of the alignment.
    pub reserved: [u16; 3],
}

/// A gateway's entry in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Gateway {
    /// One of [`Gateway::ABSENT`], [`Gateway::LOCAL`], [`Gateway::REMOTE`], [`Gateway::UNRESOLVED`].
    pub kind: u16,
    /// A remote gateway's MAC address, as words in host order.
    pub mac: [u16; 3],
    /// The index of a local gateway's first worker.
    pub first_worker: u16,
    /// The number of a local gateway's workers, at least 1.
    pub workers: u16,
}

impl Gateway {
    /// The entry is unused.
    pub const ABSENT: u16 = 0;
    /// The gateway's workers run on this host.
    pub const LOCAL: u16 = 1;
    /// The gateway runs on another host of the subnet, whose MAC address is known.
    pub const REMOTE: u16 = 2;
    /// The gateway runs on another host of the subnet, whose MAC address is not resolved yet.
    pub const UNRESOLVED: u16 = 3;
}

/// The owner of an address. One trie holds the peerings' prefixes, the NIC's addresses and those of the gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The address is one of the NIC's.
    Own,
    /// The address is that of a gateway of this VPC, on another host.
    Gateway,
    /// The address is in a prefix of the peering with this index.
    Peering(u32),
}

impl Destination {
    const OWN: u32 = u32::MAX;
    const GATEWAY: u32 = u32::MAX - 1;
}

impl From<Destination> for u32 {
    fn from(destination: Destination) -> Self {
        match destination {
            Destination::Own => Destination::OWN,
            Destination::Gateway => Destination::GATEWAY,
            Destination::Peering(index) => index,
        }
    }
}

impl From<u32> for Destination {
    #[inline(always)]
    fn from(value: u32) -> Self {
        match value {
            Self::OWN => Self::Own,
            Self::GATEWAY => Self::Gateway,
            index => Self::Peering(index),
        }
    }
}

/// Packets and octets that were steered to one gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Traffic {
    /// Packets that were steered to the gateway.
    pub packets: u64,
    /// Octets of those packets, Ethernet headers included.
    pub bytes: u64,
}

/// The counters of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// The counters by the indices of [`counter`].
    pub ends: [u64; counter::COUNT as usize],
    /// The traffic to each gateway, by the gateway's index.
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
