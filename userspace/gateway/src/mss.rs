//! The MSS clamp: a TCP SYN that offers larger segments than the tunnel carries is lowered to fit
//! (RFC 9293 section 3.7.1), for paths on which path-MTU discovery does not work.

use causeway_steering::headers::{Headers, IPV4, protocol};

use crate::checksum::update;

const TCP: usize = 20;
const SYN: u8 = 0x02;

/// Octets of TCP payload in an inner packet of `max_inner` octets without options.
pub(crate) fn limit(max_inner: usize) -> u16 {
    u16::try_from(max_inner.saturating_sub(IPV4 + TCP)).unwrap_or(u16::MAX)
}

/// Lowers the MSS option of a SYN in the packet under `headers` to at most `limit` octets. Leaves
/// everything else alone: a SYN without the option, a fragment, options that make no sense.
pub(crate) fn clamp(packet: &mut [u8], headers: &Headers, limit: u16) {
    if headers.protocol != protocol::TCP || headers.fragment {
        return;
    }
    let Some(tcp) = packet.get_mut(headers.l4..headers.l3 + headers.total) else {
        return;
    };
    if tcp.len() < TCP || tcp[13] & SYN == 0 {
        return;
    }
    let options = TCP..usize::from(tcp[12] >> 4) * 4;
    if options.end > tcp.len() {
        return;
    }
    let Some(at) = find(tcp, options) else { return };
    let old = u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    if old <= limit {
        return;
    }
    tcp[at..at + 2].copy_from_slice(&limit.to_be_bytes());
    // A number at an odd place stands in the checksum's words with its octets swapped.
    let (old, new) = if at % 2 == 0 {
        (old, limit)
    } else {
        (old.swap_bytes(), limit.swap_bytes())
    };
    let sum = u16::from_be_bytes([tcp[16], tcp[17]]);
    tcp[16..18].copy_from_slice(&update(sum, old, new).to_be_bytes());
}

/// Where the value of the MSS option stands.
fn find(tcp: &[u8], options: std::ops::Range<usize>) -> Option<usize> {
    let mut at = options.start;
    while at < options.end {
        match tcp[at] {
            0 => return None,
            1 => at += 1,
            kind => {
                let length = usize::from(*tcp.get(at + 1)?);
                if length < 2 || at + length > options.end {
                    return None;
                }
                if kind == 2 {
                    return (length == 4).then_some(at + 2);
                }
                at += length;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::checksum;
    use proptest::prelude::*;

    /// An IPv4 TCP packet with the given flags and options (padded to words), checksum right.
    fn tcp(flags: u8, options: &[u8]) -> Vec<u8> {
        let mut options = options.to_vec();
        options.resize(options.len().next_multiple_of(4), 0);
        let total = IPV4 + TCP + options.len();
        let mut packet = vec![0; IPV4 + TCP];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        packet[8] = 64;
        packet[9] = protocol::TCP;
        packet[12..20].copy_from_slice(&[10, 1, 0, 1, 10, 2, 0, 1]);
        packet[32] = (((TCP + options.len()) / 4) as u8) << 4;
        packet[33] = flags;
        packet.extend_from_slice(&options);
        let sum = tcp_sum(&packet);
        packet[36..38].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// The checksum over pseudo-header and segment; zero where the one in the segment is right.
    fn tcp_sum(packet: &[u8]) -> u16 {
        let mut bytes = packet[12..20].to_vec();
        bytes.extend_from_slice(&[0, protocol::TCP]);
        bytes.extend_from_slice(&((packet.len() - IPV4) as u16).to_be_bytes());
        bytes.extend_from_slice(&packet[IPV4..]);
        checksum(&bytes)
    }

    fn clamped(mut packet: Vec<u8>, limit: u16) -> Vec<u8> {
        let headers = Headers::parse(&packet[..], 0).expect("an IPv4 packet");
        clamp(&mut packet, &headers, limit);
        packet
    }

    #[test]
    fn a_syn_is_lowered_at_any_alignment() {
        for padding in 0..4 {
            let mut options = vec![1; padding];
            options.extend_from_slice(&[2, 4, 0x05, 0xb4, 4, 2]);
            let packet = clamped(tcp(SYN | 0x10, &options), 1398);
            let at = IPV4 + TCP + padding + 2;
            assert_eq!(packet[at..at + 2], 1398u16.to_be_bytes());
            assert_eq!(
                tcp_sum(&packet),
                0,
                "checksum with {padding} octets in front"
            );
        }
    }

    #[test]
    fn what_is_small_or_no_syn_stays() {
        let small = tcp(SYN, &[2, 4, 0x02, 0x18]);
        assert_eq!(clamped(small.clone(), 1398), small);
        let data = tcp(0x10, &[2, 4, 0x05, 0xb4]);
        assert_eq!(clamped(data.clone(), 1398), data);
        let mut fragment = tcp(SYN, &[2, 4, 0x05, 0xb4]);
        fragment[6] = 0x20;
        assert_eq!(clamped(fragment.clone(), 1398), fragment);
    }

    proptest! {
        /// Whatever the options are, nothing is read or written outside them, and the checksum
        /// stays as right as it was.
        #[test]
        fn any_options(options in proptest::collection::vec(0u8..8, 0..40), limit: u16) {
            let packet = clamped(tcp(SYN, &options), limit);
            prop_assert!(matches!(tcp_sum(&packet), 0 | 0xffff));
        }

        /// No panic on arbitrary octets behind an IPv4 header.
        #[test]
        fn any_segment(segment in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut packet = tcp(SYN, &[]);
            packet.truncate(IPV4);
            packet.extend_from_slice(&segment);
            let total = packet.len() as u16;
            packet[2..4].copy_from_slice(&total.to_be_bytes());
            let length = packet.len();
            prop_assert_eq!(clamped(packet, 536).len(), length);
        }
    }
}
