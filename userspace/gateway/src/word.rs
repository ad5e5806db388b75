//! What a peer's demux says to this host's, where this host's is behind this worker's NIC.

use causeway_rescale::message::LONGEST_PACKET;

/// An authentic inner IP packet: UDP to [`PORT`](causeway_rescale::message::PORT) of one of the
/// NIC's own addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    /// The place in the configuration of the tunnel that brought it.
    pub tunnel: usize,
    length: usize,
    octets: [u8; LONGEST_PACKET],
}

impl Word {
    /// `None` where the packet is longer than any word's.
    pub(crate) fn new(tunnel: usize, packet: &[u8]) -> Option<Self> {
        let mut octets = [0; LONGEST_PACKET];
        octets.get_mut(..packet.len())?.copy_from_slice(packet);
        Some(Self {
            tunnel,
            length: packet.len(),
            octets,
        })
    }

    /// The whole packet, from its IP header on.
    pub fn packet(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Word({} octets by tunnel {})", self.length, self.tunnel)
    }
}
