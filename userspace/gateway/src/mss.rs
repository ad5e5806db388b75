//! MSS clamping: the MSS option of a TCP SYN is lowered to the largest segment of the tunnel (RFC 9293 section 3.7.1), for paths on
//! which path MTU discovery does not work.

use causeway_steering::headers::{Headers, IPV4, IPV6, protocol};

use crate::checksum::update;

const TCP: usize = 20;
const SYN: u8 = 0x02;

/// Lowers the MSS option of a SYN in `packet` to what an inner packet of `max_inner` octets carries without options: 40
/// octets less in IPv4, 60 less in IPv6. Changes no other packet: a SYN without the option, a fragment, malformed options.
#[inline]
pub(crate) fn clamp(packet: &mut [u8], headers: &Headers, max_inner: usize) {
    if headers.protocol != protocol::TCP || headers.fragment {
        return;
    }
    let Some(tcp) = packet.get_mut(headers.l4..headers.l3 + headers.total) else {
        return;
    };
    if tcp.len() >= TCP && tcp[13] & SYN != 0 {
        clamp_syn(tcp, max_inner, headers.is_ipv4());
    }
}

#[cold]
#[inline(never)]
fn clamp_syn(tcp: &mut [u8], max_inner: usize, ipv4: bool) {
    let options = TCP..usize::from(tcp[12] >> 4) * 4;
    if options.end > tcp.len() {
        return;
    }
    let Some(at) = find(tcp, options) else { return };
    let fixed = TCP + if ipv4 { IPV4 } else { IPV6 };
    let limit = u16::try_from(max_inner.saturating_sub(fixed)).unwrap_or(u16::MAX);
    let old = u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    if old <= limit {
        return;
    }
    tcp[at..at + 2].copy_from_slice(&limit.to_be_bytes());
    // A number at an odd offset has its octets swapped in the words of the checksum.
    let (old, new) = if at % 2 == 0 {
        (old, limit)
    } else {
        (old.swap_bytes(), limit.swap_bytes())
    };
    let sum = u16::from_be_bytes([tcp[16], tcp[17]]);
    tcp[16..18].copy_from_slice(&update(sum, old, new).to_be_bytes());
}

/// The offset of the value of the MSS option.
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

    /// A TCP packet with the given flags and options (padded to words), with a correct checksum.
    fn tcp(v6: bool, flags: u8, options: &[u8]) -> Vec<u8> {
        let mut options = options.to_vec();
        options.resize(options.len().next_multiple_of(4), 0);
        let segment = TCP + options.len();
        let mut packet = ip(v6, segment);
        let l4 = packet.len();
        packet.resize(l4 + TCP, 0);
        packet[l4 + 12] = ((segment / 4) as u8) << 4;
        packet[l4 + 13] = flags;
        packet.extend_from_slice(&options);
        let sum = tcp_sum(&packet);
        packet[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// The IP header in front of a segment of `segment` octets.
    fn ip(v6: bool, segment: usize) -> Vec<u8> {
        let mut header = vec![0; if v6 { IPV6 } else { IPV4 }];
        if v6 {
            header[0] = 0x60;
            header[4..6].copy_from_slice(&(segment as u16).to_be_bytes());
            header[6..8].copy_from_slice(&[protocol::TCP, 64]);
            header[8..24].copy_from_slice(&[0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            header[24..].copy_from_slice(&[0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        } else {
            header[0] = 0x45;
            header[2..4].copy_from_slice(&((IPV4 + segment) as u16).to_be_bytes());
            header[8..10].copy_from_slice(&[64, protocol::TCP]);
            header[12..].copy_from_slice(&[10, 1, 0, 1, 10, 2, 0, 1]);
        }
        header
    }

    /// The checksum over pseudo-header and segment; zero if the checksum in the segment is correct.
    fn tcp_sum(packet: &[u8]) -> u16 {
        let (addresses, l4) = if packet[0] >> 4 == 4 {
            (12, IPV4)
        } else {
            (8, IPV6)
        };
        let mut bytes = packet[addresses..l4].to_vec();
        bytes.extend_from_slice(&[0, protocol::TCP]);
        bytes.extend_from_slice(&((packet.len() - l4) as u16).to_be_bytes());
        bytes.extend_from_slice(&packet[l4..]);
        checksum(&bytes)
    }

    fn clamped(mut packet: Vec<u8>, max_inner: usize) -> Vec<u8> {
        let headers = Headers::parse(&packet[..], 0).expect("an IP packet");
        clamp(&mut packet, &headers, max_inner);
        packet
    }

    #[test]
    fn a_syn_is_lowered_at_any_alignment() {
        for (v6, l4, mss) in [(false, IPV4, 1398u16), (true, IPV6, 1378)] {
            for padding in 0..4 {
                let mut options = vec![1; padding];
                options.extend_from_slice(&[2, 4, 0x05, 0xb4, 4, 2]);
                let packet = clamped(tcp(v6, SYN | 0x10, &options), 1438);
                let at = l4 + TCP + padding + 2;
                assert_eq!(packet[at..at + 2], mss.to_be_bytes());
                assert_eq!(
                    tcp_sum(&packet),
                    0,
                    "checksum with {padding} octets in front"
                );
            }
        }
    }

    #[test]
    fn a_syn_behind_extension_headers_is_lowered() {
        let whole = tcp(true, SYN, &[2, 4, 0x05, 0xb4]);
        let (header, segment) = whole.split_at(IPV6);
        // Destination options, which are padding: RFC 8200 section 4.2.
        let mut packet = [header, &[protocol::TCP, 0, 1, 4, 0, 0, 0, 0], segment].concat();
        packet[6] = 60;
        packet[5] += 8;
        let packet = clamped(packet, 1438);
        assert_eq!(packet[IPV6 + 8 + TCP + 2..][..2], 1378u16.to_be_bytes());
        assert_eq!(tcp_sum(&[header, &packet[IPV6 + 8..]].concat()), 0);
    }

    #[test]
    fn a_small_mss_and_a_packet_without_syn_are_unchanged() {
        for v6 in [false, true] {
            let small = tcp(v6, SYN, &[2, 4, 0x02, 0x18]);
            assert_eq!(clamped(small.clone(), 1438), small);
            let data = tcp(v6, 0x10, &[2, 4, 0x05, 0xb4]);
            assert_eq!(clamped(data.clone(), 1438), data);
        }
        let mut fragment = tcp(false, SYN, &[2, 4, 0x05, 0xb4]);
        fragment[6] = 0x20;
        assert_eq!(clamped(fragment.clone(), 1438), fragment);
    }

    proptest! {
        /// With any options, no octet outside of them is read or written, and a correct checksum stays correct.
        #[test]
        fn any_options(
            v6: bool,
            options in proptest::collection::vec(0u8..8, 0..40),
            max_inner in 0usize..70_000,
        ) {
            let packet = clamped(tcp(v6, SYN, &options), max_inner);
            prop_assert!(matches!(tcp_sum(&packet), 0 | 0xffff));
        }

        /// No panic on arbitrary octets behind an IP header.
        #[test]
        fn any_segment(v6: bool, segment in proptest::collection::vec(any::<u8>(), 0..64)) {
            let packet = [ip(v6, segment.len()), segment].concat();
            let length = packet.len();
            prop_assert_eq!(clamped(packet, 576).len(), length);
        }
    }
}
