//! Fragmentation of an inner packet that is longer than the tunnel's MTU: RFC 791 section 3.2, before encapsulation, as
//! RFC 4301 section 8 requires for packets whose DF bit is clear.

use std::ops::Range;

use causeway_steering::headers::IPV4;

use crate::checksum::update;

const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// One packet's division into fragments.
///
/// The fragments are made in place, one after the other: the header of each overwrites the end of the previous one, which
/// is sealed by then. So no payload is moved.
pub(crate) struct Fragments {
    header: [u8; IPV4],
    payload: usize,
    /// Octets of payload in each fragment but the last, a multiple of 8.
    step: usize,
}

impl Fragments {
    /// Divides a packet with a header of 20 octets into fragments of at most `max` octets. `None` if the packet's fragment
    /// offset reaches beyond the 65,535 octets of a datagram.
    pub(crate) fn new(packet: &[u8], max: usize) -> Option<Self> {
        let (header, payload) = packet.split_first_chunk::<IPV4>()?;
        let step = max.checked_sub(IPV4)? & !7;
        let flags = u16::from_be_bytes([header[6], header[7]]);
        let start = usize::from(flags & OFFSET) * 8;
        if step == 0 || start + payload.len() > usize::from(u16::MAX) {
            return None;
        }
        Some(Self {
            header: *header,
            payload: payload.len(),
            step,
        })
    }

    /// The number of fragments.
    pub(crate) fn count(&self) -> usize {
        self.payload.div_ceil(self.step)
    }

    /// Makes fragment `index` inside `packet` and returns its range. Indexes must rise from 0, since each fragment overwrites
    /// the previous one.
    pub(crate) fn piece(&self, packet: &mut [u8], index: usize) -> Range<usize> {
        let at = index * self.step;
        let payload = self.step.min(self.payload - at);
        let mut header = self.header;
        let mut put = |at: usize, new: u16| {
            let old = u16::from_be_bytes([header[at], header[at + 1]]);
            let sum = u16::from_be_bytes([header[10], header[11]]);
            header[at..at + 2].copy_from_slice(&new.to_be_bytes());
            header[10..12].copy_from_slice(&update(sum, old, new).to_be_bytes());
        };
        put(2, (IPV4 + payload) as u16);
        let flags = u16::from_be_bytes([self.header[6], self.header[7]]);
        let more = if at + payload < self.payload { MORE } else { 0 };
        // The last fragment keeps the flag of the packet, which may be a fragment itself.
        put(6, (flags | more) + (at / 8) as u16);
        packet[at..at + IPV4].copy_from_slice(&header);
        at..at + IPV4 + payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::checksum;
    use proptest::prelude::*;

    fn packet(payload: &[u8], flags: u16) -> Vec<u8> {
        let mut packet = vec![0; IPV4];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&((IPV4 + payload.len()) as u16).to_be_bytes());
        packet[4..6].copy_from_slice(&0x1234u16.to_be_bytes());
        packet[6..8].copy_from_slice(&flags.to_be_bytes());
        packet[8] = 63;
        packet[9] = 17;
        packet[12..20].copy_from_slice(&[10, 1, 0, 1, 10, 2, 0, 1]);
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(payload);
        packet
    }

    proptest! {
        /// Each fragment fits and is valid, and the fragments join to the payload. The packet may be a fragment itself.
        #[test]
        fn fragments_join(
            payload in proptest::collection::vec(any::<u8>(), 1..3000),
            max in 28usize..1500,
            offset in 0u16..0x1000,
            more: bool,
        ) {
            let flags = offset | if more { MORE } else { 0 };
            let mut bytes = packet(&payload, flags);
            let cut = Fragments::new(&bytes, max).expect("a packet that can be cut");
            let mut joined = Vec::new();
            for index in 0..cut.count() {
                let range = cut.piece(&mut bytes, index);
                let piece = &bytes[range];
                prop_assert!(piece.len() <= max);
                prop_assert_eq!(checksum(&piece[..IPV4]), 0);
                prop_assert_eq!(usize::from(u16::from_be_bytes([piece[2], piece[3]])), piece.len());
                prop_assert_eq!(&piece[4..6], &0x1234u16.to_be_bytes());
                let field = u16::from_be_bytes([piece[6], piece[7]]);
                prop_assert_eq!(usize::from(field & OFFSET) * 8, usize::from(offset) * 8 + joined.len());
                let last = index + 1 == cut.count();
                prop_assert_eq!(field & MORE != 0, more || !last);
                joined.extend_from_slice(&piece[IPV4..]);
            }
            prop_assert_eq!(joined, payload);
        }
    }

    #[test]
    fn a_fragment_beyond_the_longest_datagram_is_refused() {
        assert!(Fragments::new(&packet(&[0; 64], 0x1fff), 60).is_none());
    }
}
