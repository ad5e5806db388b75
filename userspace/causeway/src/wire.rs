//! What demuxes and gateways say to each other, as octets.
//!
//! `seal` proves that who speaks has the steering key; `packet` is the inner IP packet in which a
//! word to the peer's demux passes a tunnel.

mod packet;
mod seal;

pub use packet::{Packet, PacketError, parse, to_peer};
pub use seal::{Kind, Message, OpenError, Seals, TAG};

/// The UDP port of all of it, both ways. Beside 9464, where status and metrics are served.
pub const PORT: u16 = 9465;
/// Octets of the longest IP packet with a message in it: what the smallest MTU that a role accepts
/// takes whole (576 inner octets through an IPv4 tunnel, see `config::host`).
pub const LONGEST_PACKET: usize = 641;
/// Octets of the longest sealed message: that, less the headers of IPv4 and UDP.
pub const LONGEST: usize = LONGEST_PACKET - 20 - 8;
