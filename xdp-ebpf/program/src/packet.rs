//! Reads a packet between XDP's data pointers.

use aya_ebpf::programs::XdpContext;
use causeway_steering::Bytes;

/// Always 0. The verifier cannot prove this, because the memory is writable.
#[unsafe(link_section = ".bss")]
static mut ZERO: u8 = 0;

/// The packet of an XDP context.
pub struct Packet<'a>(pub &'a XdpContext);

impl Bytes for Packet<'_> {
    #[inline(always)]
    fn words<const N: usize>(&self, offset: usize) -> Option<[u16; N]> {
        let at = self.0.data() + offset;
        if at + 2 * N > self.0.data_end() {
            return None;
        }
        // SAFETY: the comparison above keeps the read inside the packet (the verifier checks it
        // again); offsets are even and an XDP packet starts at an even address.
        let words = unsafe { *(at as *const [u16; N]) };
        Some(words.map(u16::from_be))
    }

    #[inline(always)]
    fn length(&self) -> usize {
        let ctx = self.0.ctx;
        // The pointers are read again. If the compiler knew that the length is their difference, it
        // would remove redundant comparisons with the packet's end, which the verifier requires.
        // SAFETY: the kernel passes a valid context to the program.
        let (start, end) = unsafe {
            (
                (&raw const (*ctx).data).read_volatile(),
                (&raw const (*ctx).data_end).read_volatile(),
            )
        };
        end as usize - start as usize
    }

    #[inline(always)]
    fn opaque(&self, offset: usize) -> usize {
        // SAFETY: a static of this program; volatile, so that the compiler does not fold it either.
        let zero = unsafe { (&raw const ZERO).read_volatile() };
        (offset + zero as usize) & 0x1e
    }
}
