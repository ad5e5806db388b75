//! Parts that the errors of both families share.

/// Octets in front of the packet that an error quotes: type, code, checksum, MTU.
pub(super) const ICMP: usize = 8;
pub(super) const TTL: u8 = 64;

/// An error about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The TTL or hop limit ran out here.
    TimeExceeded,
    /// The tunnel carries at most this many octets in one packet.
    TooBig { mtu: usize },
}

/// The one's complement sum of 16-bit words, with the carry added at each step.
#[cfg(test)]
pub(super) fn naive_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u16;
    for pair in bytes.chunks(2) {
        let word = u16::from(pair[0]) * 256 + u16::from(pair.get(1).copied().unwrap_or(0));
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    sum
}
