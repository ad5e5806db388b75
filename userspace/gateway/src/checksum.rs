//! The Internet checksum, computed (RFC 1071) and updated in place (RFC 1624).

use causeway_steering::headers::IPV6;

/// The checksum of `bytes`, in which the checksum field must be zero.
pub fn checksum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// The checksum of the payload of the IPv6 `packet`, which has no extension headers, including the pseudo-header of
/// RFC 8200 section 8.1.
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

/// The `checksum` after one of its 16-bit words has changed from `old` to `new`: RFC 1624 equation 3.
///
/// It is incremental, so that the checksum of a corrupted packet stays wrong; a fresh sum would hide the corruption.
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
        /// An updated checksum equals a computed one.
        #[test]
        fn update_equals_recomputation(
            mut bytes in proptest::collection::vec(any::<u8>(), 1..32).prop_map(|mut bytes| {
                // Not all zero: one's complement has two zeros (RFC 1624 section 3).
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
