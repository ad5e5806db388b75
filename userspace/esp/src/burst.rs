//! Bursts: many packets in one call.
//!
//! A received packet and its destination frame are usually not in the cache. If packets are sealed one at a time, the
//! cipher waits for both. It also waits for the trailer that was just stored behind the packet: a wide load cannot be
//! forwarded from a narrow pending store, and stores complete in order, after the whole previous packet.
//!
//! A burst to seal is therefore processed in groups, each in two steps. The first step writes headers and trailers of
//! all packets. The second step encrypts all packets, and prefetches the first cache lines of the next group. A burst
//! to open is processed packet by packet, because no check after decryption delays the next cipher. Measurements:
//! docs/performance.md.

use std::ops::Range;
use std::slice;

use causeway_ipsec_mb::{prefetch, prefetch_write};

use crate::open::{InboundSa, OpenError, Opened};
use crate::seal::{OutboundSa, Prepared, SealError};

/// Packets per group. Frames start at the same offset of a page, so their first lines share one set of the L1
/// cache. The set has eight ways on current CPUs, and a packet uses two.
const GROUP: usize = 4;

/// Packets to seal.
pub trait SealBurst {
    /// True if several SAs seal the burst, false if only the first one does. Each case is compiled separately.
    const MIXED: bool = false;

    /// The index of the SA that seals the n-th packet.
    #[inline]
    fn sa(&self, _n: usize) -> usize {
        0
    }

    /// The n-th packet, from 0: the arguments of [`OutboundSa::seal`].
    fn packet(&mut self, n: usize) -> ToSeal<'_>;

    /// Prefetches the first cache line of the n-th packet and of its output, and the line behind the packet.
    #[inline]
    fn fetch(&mut self, n: usize) {
        let ToSeal { frame, len, out } = self.packet(n);
        prefetch(frame);
        prefetch_write(frame.get_mut(len..).unwrap_or_default());
        prefetch_write(out);
    }

    /// Receives the result of [`OutboundSa::seal`] for the n-th packet. Called once per packet.
    fn sealed(&mut self, n: usize, result: Result<usize, SealError>);
}

/// A packet to seal.
pub struct ToSeal<'a> {
    /// The inner packet, with [`TAIL_ROOM`](crate::TAIL_ROOM) behind it.
    pub frame: &'a mut [u8],
    /// Length of the inner packet in bytes.
    pub len: usize,
    /// The output buffer for the outer packet.
    pub out: &'a mut [u8],
}

/// Packets that one SA opens.
pub trait OpenBurst {
    /// The n-th packet, from 0: the arguments of [`InboundSa::open`].
    fn packet(&mut self, n: usize) -> ToOpen<'_>;

    /// Prefetches the first cache lines of the n-th packet, if it exists, and of its output.
    fn fetch(&mut self, n: usize);

    /// Receives the result of [`InboundSa::open`] for the n-th packet. Called once per packet.
    fn opened(&mut self, n: usize, result: Result<Opened, OpenError>);
}

/// A packet to open.
pub struct ToOpen<'a> {
    /// The packet, starting at its ESP header.
    pub esp: &'a [u8],
    /// The TOS byte of the outer header.
    pub outer_tos: u8,
    /// The output buffer for the inner packet.
    pub out: &'a mut [u8],
}

/// Seals `count` packets, each like [`OutboundSa::seal`] with the SA at [`SealBurst::sa`]. The packets of one SA get
/// sequence numbers in their order.
#[inline(always)]
pub fn seal_burst<S: AsMut<OutboundSa>, P: SealBurst>(
    sas: &mut [S],
    count: usize,
    packets: &mut P,
) {
    let mut prepared = [const { None::<Prepared> }; GROUP];
    // The SA that prepared each packet: a nonce must not be used with the key of another SA.
    let mut sa_of = [0; GROUP];
    for n in 0..count.min(GROUP) {
        fetch_key(sas, n, packets);
    }
    for first in (0..count).step_by(GROUP) {
        let group = first..count.min(first + GROUP);
        for ((n, slot), sa_index) in group.clone().zip(&mut prepared).zip(&mut sa_of) {
            if P::MIXED {
                *sa_index = packets.sa(n);
            }
            let sa = if P::MIXED { *sa_index } else { 0 };
            let ToSeal { frame, len, out } = packets.packet(n);
            match sas[sa].as_mut().prepare(frame, len, out) {
                Ok(ready) => *slot = Some(ready),
                Err(error) => packets.sealed(n, Err(error)),
            }
        }
        for ((n, slot), sa_index) in group.zip(&mut prepared).zip(&sa_of) {
            if n + GROUP < count {
                packets.fetch(n + GROUP);
                fetch_key(sas, n + GROUP, packets);
            }
            if let Some(ready) = slot.take() {
                let sa = if P::MIXED { *sa_index } else { 0 };
                let ToSeal { frame, out, .. } = packets.packet(n);
                let result = sas[sa].as_mut().finish(ready, frame, out);
                packets.sealed(n, result);
            }
        }
    }
}

/// Prefetches the n-th packet's key in a mixed burst, unless the previous packet has the same key.
#[inline(always)]
fn fetch_key<S: AsMut<OutboundSa>, P: SealBurst>(sas: &mut [S], n: usize, packets: &P) {
    if P::MIXED && (n == 0 || packets.sa(n - 1) != packets.sa(n)) {
        sas[packets.sa(n)].as_mut().fetch();
    }
}

impl OutboundSa {
    /// Seals `count` packets with this SA, each like [`OutboundSa::seal`], with sequence numbers in their order.
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
    /// Opens the packets of `range` in order, each like [`InboundSa::open`]. The window advances between two
    /// packets, so a duplicate in the same burst is refused.
    #[inline]
    pub fn open_burst(&mut self, range: Range<usize>, packets: &mut impl OpenBurst) {
        for n in range {
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
