//! The inner IPv4 header: what ESP reads of it and the one field it changes.

/// Length of an IPv4 header without options, in bytes.
pub(crate) const HEADER_LEN: usize = 20;

/// The fields of an inner IPv4 header that the tunnel looks at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inner {
    /// Total length of the packet in bytes, header included.
    pub(crate) len: usize,
    /// DSCP and ECN.
    pub(crate) tos: u8,
    pub(crate) dont_fragment: bool,
}

/// Reads the IPv4 packet at the start of `bytes`, behind which other bytes may follow. `None` if
/// it is not IPv4, its header is malformed, or it does not fit into `bytes`.
#[inline]
pub(crate) fn parse(bytes: &[u8]) -> Option<Inner> {
    let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
    let header_len = usize::from(header[0] & 0xf) * 4;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let well_formed =
        header[0] >> 4 == 4 && header_len >= HEADER_LEN && header_len <= len && len <= bytes.len();
    // No `then_some` here and no `ok_or` in the callers: the value would travel through memory in
    // pieces and be read back across them, which costs a packet some 10 ns.
    if !well_formed {
        return None;
    }
    Some(Inner {
        len,
        tos: header[1],
        dont_fragment: header[6] & 0x40 != 0,
    })
}

/// Sets DSCP and ECN and updates the header checksum by the difference (RFC 1624 equation 3).
/// `packet` is one that [`parse`] accepted.
pub(crate) fn set_tos(packet: &mut [u8], tos: u8) {
    let old = u16::from_be_bytes([packet[0], packet[1]]);
    packet[1] = tos;
    let new = u16::from_be_bytes([packet[0], packet[1]]);
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
        /// RFC 1624: a header whose checksum was right is right after the change, for every
        /// header and TOS; a wrong one stays wrong.
        #[test]
        fn the_checksum_stays_right(
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
    }

    #[test]
    fn malformed_headers_are_refused() {
        let mut good = [0; 24];
        good[0] = 0x45;
        good[3] = 24;
        assert_eq!(parse(&good).map(|inner| inner.len), Some(24));
        for (at, value) in [(0, 0x65), (0, 0x44), (0, 0x47), (3, 19), (3, 25), (2, 1)] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(parse(&bad), None, "byte {at} = {value:#x}");
        }
        assert_eq!(parse(&good[..19]), None);
    }
}
