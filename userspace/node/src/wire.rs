//! The encoding of the control messages between demuxes and gateways.
//!
//! `message_auth` authenticates a message with the steering key. `session` numbers the messages between demux and gateway, so
//! that a recorded one is not obeyed again. `packet` builds and parses the inner IP packet
//! that carries a peer message through a tunnel.

mod message_auth;
mod packet;
mod session;

pub use causeway_rescale::message::{LONGEST_PACKET, PORT};
pub use message_auth::{Ends, Message, MessageAuth, MessageError, MessageType, TAG};
pub use packet::{Packet, PacketError, build_packet, parse_packet};
pub use session::{DemuxSession, GatewaySession, Outcome, ReplyDatagram, RequestDatagram, Verdict};

/// Octets of the longest message with its tag: [`LONGEST_PACKET`] without the headers of IPv4 and UDP.
pub const LONGEST: usize = LONGEST_PACKET - 20 - 8;
