//! Control messages of a peer's demux for this host's demux, which is behind this worker's NIC.

use causeway_rescale::message::LONGEST_PACKET;

/// An authentic inner IP packet: UDP to [`PORT`](causeway_rescale::message::PORT) of one of the NIC's own addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlMessage {
    /// The index in the configuration of the tunnel that it was received from.
    pub tunnel: usize,
    length: usize,
    octets: [u8; LONGEST_PACKET],
}

impl ControlMessage {
    /// `None` if the packet is longer than any message.
    pub(crate) fn new(tunnel: usize, packet: &[u8]) -> Option<Self> {
        let mut octets = [0; LONGEST_PACKET];
        octets.get_mut(..packet.len())?.copy_from_slice(packet);
        Some(Self {
            tunnel,
            length: packet.len(),
            octets,
        })
    }

    /// The packet, from its IP header on.
    pub fn packet(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl std::fmt::Debug for ControlMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ControlMessage({} octets from tunnel {})",
            self.length, self.tunnel
        )
    }
}
