//! Bounds-checked reads from a packet, the same for a slice and for XDP's data pointers.

/// A packet that can be read in 16-bit words.
///
/// Words, because all fields of Ethernet, IPv4, IPv6, UDP, TCP, ICMP and ESP start at even offsets and
/// BPF has no unaligned loads: two-octet alignment is what an XDP packet always has.
pub trait Bytes {
    /// `N` words in network order from an even `offset` in octets, or `None` where the packet
    /// ends before them.
    fn words<const N: usize>(&self, offset: usize) -> Option<[u16; N]>;

    /// The packet's length in octets.
    fn length(&self) -> usize;

    /// The even `offset` below 32 itself, as one of which the kernel's verifier knows no more than that:
    /// it then walks the rest of the program once, and not once for each value.
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

/// Two words as one 32-bit number, the first word high.
#[inline(always)]
pub fn wide(high: u16, low: u16) -> u32 {
    (high as u32) << 16 | low as u32
}
