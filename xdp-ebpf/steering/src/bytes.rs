//! Bounds-checked reads from a packet: one trait for slices and for XDP's data pointers.

/// A packet that is read in 16-bit words.
///
/// BPF has no unaligned loads, and an XDP packet is aligned to two octets. All fields of Ethernet,
/// IPv4, IPv6, UDP, TCP, ICMP and ESP start at even offsets.
pub trait Bytes {
    /// Reads `N` words in network order from an even `offset` in octets. `None` if the packet ends
    /// before the last word does.
    fn words<const N: usize>(&self, offset: usize) -> Option<[u16; N]>;

    /// The packet's length in octets.
    fn length(&self) -> usize;

    /// Returns `offset`, which is even and below 32, unchanged, but hides its value from the kernel's
    /// verifier. The verifier then walks the rest of the program once, not once for each value.
    #[inline(always)]
    fn opaque(&self, offset: usize) -> usize {
        offset
    }
}

impl Bytes for [u8] {
    #[inline]
    fn words<const N: usize>(&self, offset: usize) -> Option<[u16; N]> {
        let bytes = self.get(offset..offset.checked_add(2 * N)?)?;
        let mut words = [0; N];
        for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
            *word = u16::from_be_bytes([pair[0], pair[1]]);
        }
        Some(words)
    }

    #[inline]
    fn length(&self) -> usize {
        self.len()
    }
}

/// Joins two words to one 32-bit number, the first word high.
#[inline(always)]
pub fn wide(high: u16, low: u16) -> u32 {
    (high as u32) << 16 | low as u32
}
