//! The Internet checksum, whole (RFC 1071) and changed in place (RFC 1624).

use causeway_steering::headers::IPV6;

/// The checksum of `bytes`, to stand in a field that counts as zero in them.
pub fn checksum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// The checksum of what stands behind the header in the IPv6 `packet`, which has no extension
/// headers: over the pseudo-header of RFC 8200 section 8.1 too.
pub(crate) fn checksum_ipv6(packet: &[u8], protocol: u8) -> u16 {
    const ADDRESSES: usize = 8;
    let length = (packet.len() - IPV6) as u64;
    !fold(sum(&packet[ADDRESSES..]) + length + u64::from(protocol))
}

fn sum(bytes: &[u8]) -> u64 {
    let (words, last) = bytes.as_chunks::<2>();
    let mut sum: u64 = words
        .iter()
        .map(|&word| u64::from(u16::from_be_bytes(word)))
        .sum();
    if let [octet] = last {
        sum += u64::from(*octet) << 8;
    }
    sum
}

/// `checksum` after one 16-bit word under it went from `old` to `new`: RFC 1624 equation 3.
///
/// Incremental, so that a packet that came in broken goes out broken: a fresh sum would bless it.
pub(crate) fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(u64::from(!checksum) + u64::from(!old) + u64::from(new))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1624() {
        // Section 4: HC = 0xDD2F, m = 0x5555, m' = 0x3285 gives 0x0000, where equation 2 errs.
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        /// A changed checksum equals a fresh one.
        #[test]
        fn update_is_recomputation(
            mut bytes in proptest::collection::vec(any::<u8>(), 1..32).prop_map(|mut bytes| {
                // Never all zero: there one's complement has two zeros (RFC 1624 section 3).
                bytes.insert(0, 0x45);
                bytes
            }),
            index in 1usize..16,
            new: u16,
        ) {
            let at = index * 2;
            prop_assume!(at + 2 <= bytes.len());
            let before = checksum(&bytes);
            let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(update(before, old, new), checksum(&bytes));
        }
    }
}
