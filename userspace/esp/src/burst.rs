//! Bursts: many packets in one call.
//!
//! A packet comes from a NIC and lies beyond the cache, and so does the frame that it goes to. One by one, the
//! cipher waits for both. Worse, it waits for the trailer that was just stored behind the packet, since a wide load
//! cannot be served from a narrow store that is still on its way, and stores go in order: that one waits until all of
//! the packet before is written out. So a burst to seal goes through group by group, each in two steps: headers and trailers
//! of all, then the ciphers of all, while the first lines of the next group are fetched. A burst to open goes packet
//! by packet: what is looked at when it is decrypted decides nothing that the next cipher waits for. Measured:
//! docs/performance.md.

use std::ops::Range;
use std::slice;

use causeway_ipsec_mb::{prefetch, prefetch_write};

use crate::open::{InboundSa, OpenError, Opened};
use crate::seal::{OutboundSa, Prepared, SealError};

/// Packets of a group. Frames begin at the same place of a page, so all their first lines compete for the
/// same few places of the nearest cache, which has eight on the CPUs of today: a packet takes two.
const GROUP: usize = 4;

/// Packets to seal.
pub trait SealBurst {
    /// Whether several SAs seal them, and not the first one alone: a burst of either kind is compiled for itself.
    const MIXED: bool = false;

    /// Which of the SAs seals the n-th packet.
    #[inline]
    fn sa(&self, _n: usize) -> usize {
        0
    }

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

    /// Fetches the first lines of the n-th packet ahead, if there is one, and of what is written to.
    fn fetch(&mut self, n: usize);

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

/// Seals `count` packets, each as [`OutboundSa::seal`] would by that of `sas` which is its, in their order: those of an SA
/// get its numbers in it.
#[inline(always)]
pub fn seal_burst<S: AsMut<OutboundSa>, P: SealBurst>(
    sas: &mut [S],
    count: usize,
    packets: &mut P,
) {
    let mut prepared = [const { None::<Prepared> }; GROUP];
    // The SAs that prepared them, whose numbers must not meet another one's key.
    let mut whose = [0; GROUP];
    for n in 0..count.min(GROUP) {
        fetch_key(sas, n, packets);
    }
    for first in (0..count).step_by(GROUP) {
        let group = first..count.min(first + GROUP);
        for ((n, slot), whose) in group.clone().zip(&mut prepared).zip(&mut whose) {
            if P::MIXED {
                *whose = packets.sa(n);
            }
            let sa = if P::MIXED { *whose } else { 0 };
            let ToSeal { frame, len, out } = packets.packet(n);
            match sas[sa].as_mut().prepare(frame, len, out) {
                Ok(ready) => *slot = Some(ready),
                Err(error) => packets.sealed(n, Err(error)),
            }
        }
        for ((n, slot), whose) in group.zip(&mut prepared).zip(&whose) {
            if n + GROUP < count {
                packets.fetch(n + GROUP);
                fetch_key(sas, n + GROUP, packets);
            }
            if let Some(ready) = slot.take() {
                let sa = if P::MIXED { *whose } else { 0 };
                let ToSeal { frame, out, .. } = packets.packet(n);
                let result = sas[sa].as_mut().finish(ready, frame, out);
                packets.sealed(n, result);
            }
        }
    }
}

/// Fetches the n-th packet's key ahead, where SAs are mixed, unless the one before it has done so.
#[inline(always)]
fn fetch_key<S: AsMut<OutboundSa>, P: SealBurst>(sas: &mut [S], n: usize, packets: &P) {
    if P::MIXED && (n == 0 || packets.sa(n - 1) != packets.sa(n)) {
        sas[packets.sa(n)].as_mut().fetch();
    }
}

impl OutboundSa {
    /// Seals `count` packets by this SA alone, each as [`OutboundSa::seal`] would, with numbers in their order.
    pub fn seal_burst(&mut self, count: usize, packets: &mut impl SealBurst) {
        seal_burst(slice::from_mut(self), count, packets);
    }
}

impl AsMut<OutboundSa> for OutboundSa {
    #[inline]
    fn as_mut(&mut self) -> &mut OutboundSa {
        self
    }
}

impl InboundSa {
    /// Opens these packets, each as [`InboundSa::open`] would, in their order: the window has moved past one
    /// packet before it is asked about the next, so a duplicate in the same burst is refused.
    #[inline]
    pub fn open_burst(&mut self, these: Range<usize>, packets: &mut impl OpenBurst) {
        for n in these {
            packets.fetch(n + GROUP);
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
