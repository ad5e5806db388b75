//! The configuration of a worker, and the errors in it.

use std::net::IpAddr;
use std::sync::Arc;

use causeway_routes::Snapshot;
use ipnet::IpNet;

use crate::tunnel::Tunnel;

/// The default of [`WorkerConfig::burst`].
pub const DEFAULT_BURST: usize = 64;

/// The configuration of a worker.
#[derive(Debug)]
pub struct WorkerConfig {
    /// The NIC's MAC address.
    pub mac: [u8; 6],
    /// The gateway's own address, the outer destination of ESP packets to open.
    pub address: IpAddr,
    /// The NIC's addresses. ICMP errors have the gateway's own address as source, and in the other family the first of
    /// these; without one they are not sent.
    ///
    /// Control messages to these addresses go to control.
    pub nic_addresses: Vec<IpAddr>,
    /// The NIC's IP MTU in octets.
    pub mtu: usize,
    /// The protected prefixes of this side: sources of plaintext to seal, and destinations of opened packets.
    pub own_prefixes: Vec<IpNet>,
    /// This worker's share of each peering.
    pub tunnels: Vec<Tunnel>,
    /// The kernel's routes and neighbours at the start; [`Command::Routes`](crate::Command::Routes) replaces them.
    pub routes: Arc<Snapshot>,
    /// The most packets of a burst, at least 1; see [`DEFAULT_BURST`].
    pub burst: usize,
    /// The most packets that all holds keep together. They stay in frames of the device, which must have as many more to
    /// receive into.
    pub hold_packets: usize,
    /// Whether an idle worker spins instead of sleeping.
    pub spin: bool,
}

/// An error in a worker's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The burst is zero, so no packet would move.
    #[error("expected a burst of at least 1 packet, got 0")]
    EmptyBurst,
    /// The device has no free frame.
    #[error("the device has no free frame: give it more frames")]
    NoFrames,
    /// A packet as long as the MTU does not fit into a frame.
    #[error(
        "expected frames with room for {needed} octets (an MTU of {mtu}), got {room}: choose a larger frame size or a smaller MTU"
    )]
    FrameTooSmall {
        /// Octets in a frame.
        room: usize,
        /// Octets that a frame needs.
        needed: usize,
        /// The NIC's MTU.
        mtu: usize,
    },
    /// The tunnel's MTU is below the minimum of an address family.
    #[error(
        "tunnel {tunnel} would have an MTU of {max_inner}, expected at least {least} (RFC 791, for IPv6 RFC 8200): raise the NIC's MTU"
    )]
    MtuTooSmall {
        /// The tunnel's index in the configuration.
        tunnel: usize,
        /// The tunnel's MTU.
        max_inner: usize,
        /// The minimum: 68, or 1280 for a tunnel with IPv6 prefixes.
        least: usize,
    },
    /// Two inbound SAs share an SPI.
    #[error("two tunnels of one worker have the inbound SPI {spi:#010x}: give each tunnel its own")]
    DuplicateSpi {
        /// The SPI of both.
        spi: u32,
    },
}
