//! What demuxes and gateways say to each other, as octets.
//!
//! `seal` proves that who speaks has the steering key; `packet` is the inner IP packet in which a
//! word to the peer's demux passes a tunnel.

mod packet;
mod seal;

pub use causeway_rescale::message::{LONGEST_PACKET, PORT};
pub use packet::{Packet, PacketError, parse, to_peer};
pub use seal::{Kind, Message, OpenError, Seals, TAG};

/// Octets of the longest sealed message: that, less the headers of IPv4 and UDP.
pub const LONGEST: usize = LONGEST_PACKET - 20 - 8;
