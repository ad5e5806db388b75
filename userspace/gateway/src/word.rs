//! What a peer's demux says to this host's, when both are behind this worker's tunnel.

use std::net::IpAddr;

/// The longest word in octets: some three times the longest that demuxes have for each other.
const LONGEST: usize = 256;

/// The payload of an authentic UDP packet to [`PORT`](causeway_rescale::message::PORT) of one of the
/// NIC's own addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The place in the configuration of the tunnel that brought it.
    pub tunnel: usize,
    /// The inner packet's source address.
    pub source: IpAddr,
    length: usize,
    octets: [u8; LONGEST],
}

impl Word {
    /// `None` where the payload is longer than any word.
    pub(crate) fn new(tunnel: usize, source: IpAddr, payload: &[u8]) -> Option<Self> {
        let mut octets = [0; LONGEST];
        octets.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self {
            tunnel,
            source,
            length: payload.len(),
            octets,
        })
    }

    /// The UDP payload.
    pub fn payload(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}
