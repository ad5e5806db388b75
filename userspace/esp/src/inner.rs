//! The inner IP header: the fields that ESP reads, and the TOS byte, which it changes.

/// Length of an IPv4 header without options, in bytes.
pub(crate) const IPV4_LEN: usize = 20;
/// Length of an IPv6 header without extensions, in bytes.
pub(crate) const IPV6_LEN: usize = 40;

/// IP version and next header of an inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// The next header of ESP in tunnel mode (RFC 4303 section 2.6).
    #[inline]
    pub(crate) const fn next_header(self) -> u8 {
        match self {
            Family::V4 => 4,
            Family::V6 => 41,
        }
    }
}

/// The fields of an inner header that ESP reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inner {
    pub(crate) family: Family,
    /// Length of the whole packet in bytes, header included.
    pub(crate) len: usize,
    /// DSCP and ECN: IPv4's TOS byte, IPv6's traffic class.
    pub(crate) tos: u8,
    /// True for every IPv6 packet, because routers do not fragment them (RFC 8200 section 5).
    pub(crate) dont_fragment: bool,
}

/// Parses the IP packet at the start of `bytes`; other bytes may follow it. `None` if the header is malformed
/// or the packet does not fit into `bytes`.
#[inline]
pub(crate) fn parse(bytes: &[u8]) -> Option<Inner> {
    let header: &[u8; IPV4_LEN] = bytes.first_chunk()?;
    if header[0] >> 4 == 6 {
        return parse_ipv6(bytes);
    }
    let header_len = usize::from(header[0] & 0xf) * 4;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let well_formed =
        header[0] >> 4 == 4 && header_len >= IPV4_LEN && header_len <= len && len <= bytes.len();
    // No `then_some` here and no `ok_or` in the callers: the value would be stored in parts and loaded as a
    // whole, and that stall costs about 10 ns per packet.
    if !well_formed {
        return None;
    }
    Some(Inner {
        family: Family::V4,
        len,
        tos: header[1],
        dont_fragment: header[6] & 0x40 != 0,
    })
}

/// A payload length of 0 means no payload. It may also announce a jumbogram (RFC 2675), which fits into no
/// frame.
#[inline]
fn parse_ipv6(bytes: &[u8]) -> Option<Inner> {
    let header: &[u8; IPV6_LEN] = bytes.first_chunk()?;
    let len = IPV6_LEN + usize::from(u16::from_be_bytes([header[4], header[5]]));
    if len > bytes.len() {
        return None;
    }
    Some(Inner {
        family: Family::V6,
        len,
        tos: header[0] << 4 | header[1] >> 4,
        dont_fragment: true,
    })
}

/// Sets DSCP and ECN of a packet that [`parse`] accepted.
pub(crate) fn set_tos(packet: &mut [u8], tos: u8) {
    if packet[0] >> 4 == 6 {
        packet[0] = 6 << 4 | tos >> 4;
        packet[1] = tos << 4 | packet[1] & 0xf;
        return;
    }
    let old = u16::from_be_bytes([packet[0], packet[1]]);
    packet[1] = tos;
    let new = u16::from_be_bytes([packet[0], packet[1]]);
    // An incremental update, RFC 1624 equation 3: an invalid checksum stays invalid.
    let checksum = u16::from_be_bytes([packet[10], packet[11]]);
    let sum = fold(u32::from(!checksum) + u32::from(!old) + u32::from(new));
    packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
}

/// The 16-bit one's complement sum (RFC 1071) of bytes of even length, not yet folded.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks_exact(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum()
}

/// Folds the carries of a one's complement sum back in.
#[inline]
pub(crate) fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// RFC 1624: for every header and TOS, a valid checksum stays valid and an invalid checksum stays
        /// invalid.
        #[test]
        fn setting_the_tos_keeps_the_checksum_valid(
            mut header in prop::array::uniform20(any::<u8>()),
            tos: u8,
        ) {
            header[0] = 0x45;
            header[10..12].fill(0);
            let checksum = !fold(sum(&header));
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            set_tos(&mut header, tos);
            prop_assert_eq!(header[1], tos);
            prop_assert_eq!(fold(sum(&header)), 0xffff);

            header[12] ^= 1;
            let wrong = fold(sum(&header));
            set_tos(&mut header, !tos);
            prop_assert_eq!(fold(sum(&header)), wrong);
        }

        /// RFC 8200 section 3: the traffic class spans two bytes, between version and flow label.
        #[test]
        fn setting_the_traffic_class_changes_no_other_field(
            mut packet in prop::collection::vec(any::<u8>(), 40..60),
            tos: u8,
        ) {
            packet[0] = 6 << 4 | packet[0] & 0xf;
            packet[4..6].copy_from_slice(&[0, 0]);
            let before = packet.clone();
            set_tos(&mut packet, tos);
            prop_assert_eq!(parse(&packet).map(|inner| inner.tos), Some(tos));
            let old = parse(&before).unwrap().tos;
            set_tos(&mut packet, old);
            prop_assert_eq!(packet, before);
        }
    }

    #[test]
    fn malformed_ipv4_headers_are_refused() {
        let mut good = [0; 24];
        good[0] = 0x45;
        good[3] = 24;
        assert_eq!(parse(&good).map(|inner| inner.len), Some(24));
        for (at, value) in [(0, 0x55), (0, 0x44), (0, 0x47), (3, 19), (3, 25), (2, 1)] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(parse(&bad), None, "byte {at} = {value:#x}");
        }
        assert_eq!(parse(&good[..19]), None);
    }

    #[test]
    fn malformed_ipv6_headers_are_refused() {
        let mut good = [0; 48];
        good[0] = 0x60;
        good[5] = 8;
        assert_eq!(parse(&good).map(|inner| inner.len), Some(48));
        assert_eq!(parse(&good[..47]), None);
        good[5] = 9;
        assert_eq!(parse(&good), None);
        good[5] = 0;
        assert_eq!(parse(&good).map(|inner| inner.len), Some(40));
        assert_eq!(parse(&good[..39]), None);
    }
}
