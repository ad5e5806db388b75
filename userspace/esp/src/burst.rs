//! Bursts: many packets of one SA in one call.
//!
//! A packet comes from a NIC and lies beyond the cache, and so does the frame that it goes to. One by one, the
//! cipher waits for both. Worse, it waits for the trailer that was just stored behind the packet, since a wide load
//! cannot be served from a narrow store that is still on its way, and stores go in order: that one waits until all of
//! the packet before is written out. So a burst to seal goes through group by group, each in two steps: headers and trailers
//! of all, then the ciphers of all, while the first lines of the next group are fetched. A burst to open goes packet
//! by packet: what is looked at when it is decrypted decides nothing that the next cipher waits for. Measured:
//! docs/performance.md.

use causeway_ipsec_mb::{prefetch, prefetch_write};

use crate::open::{InboundSa, OpenError, Opened};
use crate::seal::{OutboundSa, Prepared, SealError};

/// Packets of a group. Frames begin at the same place of a page, so all their first lines compete for the
/// same few places of the nearest cache, which has eight on the CPUs of today: a packet takes two.
const GROUP: usize = 4;

/// Packets to seal by one SA.
pub trait SealBurst {
    /// The n-th packet, from 0: what [`OutboundSa::seal`] takes.
    fn packet(&mut self, n: usize) -> ToSeal<'_>;

    /// Fetches the n-th packet's memory ahead, and what is written to: their first lines, and that behind the packet.
    #[inline]
    fn fetch(&mut self, n: usize) {
        let ToSeal { frame, len, out } = self.packet(n);
        prefetch(frame);
        prefetch_write(frame.get_mut(len..).unwrap_or_default());
        prefetch_write(out);
    }

    /// Takes what [`OutboundSa::seal`] returns for the n-th packet. Called once for each.
    fn sealed(&mut self, n: usize, result: Result<usize, SealError>);
}

/// A packet to seal.
pub struct ToSeal<'a> {
    /// The inner packet, and room behind it.
    pub frame: &'a mut [u8],
    /// Its length in bytes.
    pub len: usize,
    /// Where the outer packet goes.
    pub out: &'a mut [u8],
}

/// Packets to open by one SA.
pub trait OpenBurst {
    /// The n-th packet, from 0: what [`InboundSa::open`] takes.
    fn packet(&mut self, n: usize) -> ToOpen<'_>;

    /// Fetches the first lines of the n-th packet ahead, and of what is written to.
    #[inline]
    fn fetch(&mut self, n: usize) {
        let ToOpen { esp, out, .. } = self.packet(n);
        prefetch(esp);
        prefetch_write(out);
    }

    /// Takes what [`InboundSa::open`] returns for the n-th packet. Called once for each.
    fn opened(&mut self, n: usize, result: Result<Opened, OpenError>);
}

/// A packet to open.
pub struct ToOpen<'a> {
    /// The packet from its ESP header on.
    pub esp: &'a [u8],
    /// The TOS byte of the header it came in.
    pub outer_tos: u8,
    /// Where the inner packet goes.
    pub out: &'a mut [u8],
}

impl OutboundSa {
    /// Seals `count` packets, each as [`OutboundSa::seal`] would, with numbers in their order.
    pub fn seal_burst(&mut self, count: usize, packets: &mut impl SealBurst) {
        let mut prepared = [const { None::<Prepared> }; GROUP];
        for first in (0..count).step_by(GROUP) {
            let group = first..count.min(first + GROUP);
            for (n, slot) in group.clone().zip(&mut prepared) {
                let ToSeal { frame, len, out } = packets.packet(n);
                match self.prepare(frame, len, out) {
                    Ok(ready) => *slot = Some(ready),
                    Err(error) => packets.sealed(n, Err(error)),
                }
            }
            for (n, slot) in group.zip(&mut prepared) {
                if n + GROUP < count {
                    packets.fetch(n + GROUP);
                }
                if let Some(ready) = slot.take() {
                    let ToSeal { frame, out, .. } = packets.packet(n);
                    let result = self.finish(ready, frame, out);
                    packets.sealed(n, result);
                }
            }
        }
    }
}

impl InboundSa {
    /// Opens `count` packets, each as [`InboundSa::open`] would, in their order: the window has moved past one
    /// packet before it is asked about the next, so a duplicate in the same burst is refused.
    pub fn open_burst(&mut self, count: usize, packets: &mut impl OpenBurst) {
        for n in 0..count {
            if n + GROUP < count {
                packets.fetch(n + GROUP);
            }
            let ToOpen {
                esp,
                outer_tos,
                out,
            } = packets.packet(n);
            let result = self
                .authenticate(esp, out)
                .and_then(|()| InboundSa::inspect(esp.len(), outer_tos, out));
            packets.opened(n, result);
        }
    }
}
