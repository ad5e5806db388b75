//! What a worker is made of, and why it may not be.

use std::net::IpAddr;
use std::sync::Arc;

use causeway_routes::Snapshot;
use ipnet::IpNet;

use crate::tunnel::Tunnel;

/// Packets that a worker takes at once unless told otherwise.
pub const DEFAULT_BURST: usize = 64;

/// What a worker is told when it is made.
#[derive(Debug)]
pub struct WorkerConfig {
    /// The NIC's MAC address.
    pub mac: [u8; 6],
    /// The gateway's own address: where ESP for it goes.
    pub address: IpAddr,
    /// The NIC's addresses. ICMP errors come from the gateway's own address, and in the other
    /// family from the first of these that is of it; without one they are not sent.
    pub nic_addresses: Vec<IpAddr>,
    /// The NIC's IP MTU in octets.
    pub mtu: usize,
    /// What the cluster protects on this side. Plaintext must come from there, and decrypted
    /// packets must go there.
    pub own_prefixes: Vec<IpNet>,
    /// This worker's share of each peering.
    pub tunnels: Vec<Tunnel>,
    /// The kernel's routes and neighbours at the start.
    pub routes: Arc<Snapshot>,
    /// Packets taken at once, at least 1; see [`DEFAULT_BURST`].
    pub burst: usize,
    /// Packets that all holds together keep at most. They keep them in frames of the device, which must have so many more to receive into.
    pub hold_packets: usize,
    /// Whether an idle worker spins instead of sleeping.
    pub spin: bool,
}

/// Why a worker was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// A burst of no packets moves none.
    #[error("expected a burst of at least 1 packet, got 0")]
    EmptyBurst,
    /// The device has no frame to give.
    #[error("the device has no free frame: give it more frames")]
    NoFrames,
    /// A packet as long as the MTU does not fit into a frame.
    #[error(
        "expected frames with room for {needed} octets (an MTU of {mtu}), got {room}: choose a larger frame size or a smaller MTU"
    )]
    FrameTooSmall {
        /// Octets that a frame has.
        room: usize,
        /// Octets that it needs.
        needed: usize,
        /// The NIC's MTU.
        mtu: usize,
    },
    /// The tunnel carries less than every link of a family must.
    #[error(
        "tunnel {tunnel} would carry packets of at most {max_inner} octets, less than the {least} that every link must (RFC 791, for IPv6 RFC 8200): raise the NIC's MTU"
    )]
    MtuTooSmall {
        /// The tunnel's place in the configuration.
        tunnel: usize,
        /// Its MTU.
        max_inner: usize,
        /// What it must carry: 68, or 1280 if it has IPv6 prefixes.
        least: usize,
    },
    /// Two inbound SAs share an SPI.
    #[error("two tunnels of one worker receive on SPI {spi:#010x}: give each its own")]
    DuplicateSpi {
        /// The SPI.
        spi: u32,
    },
}
