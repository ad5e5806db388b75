//! Seal: each queued plaintext packet becomes an ESP packet in an output frame.

use causeway_device::Device;
use causeway_esp::{SealBurst, SealError, TAIL_ROOM, prefetch_write, seal_burst};
use causeway_steering::headers::ETHERNET;
use causeway_steering::{DropReason, Headers, Malformed};

use crate::burst::{Burst, ToSeal, allocate_outputs};
use crate::fragment::Fragments;
use crate::io::Io;
use crate::tunnel::{TunnelState, Tunnels};
use crate::waiting::Waiting;

/// Octets that sealing writes behind a fragment that another one follows: TFC padding, since all but the last
/// fragment are up to 7 octets shorter than the tunnel's MTU, and the trailer.
const OVERWRITTEN: usize = 7 + TAIL_ROOM;

/// Seals the queued packets into output frames. Returns the number of queued packets.
#[inline]
pub(crate) fn seal<D: Device>(
    burst: &mut Burst<D::Frame>,
    tunnels: &mut Tunnels,
    io: &mut Io<D>,
) -> usize {
    let queued = burst.queues.to_seal.len();
    let ends = burst.queues.seal_runs.iter_mut().map(|run| &mut run.end);
    let outputs = &mut burst.outputs;
    allocate_outputs(&mut burst.queues.to_seal, ends, outputs, io);
    seal_runs(burst, &mut tunnels.states, &io.device);
    queued
}

#[inline(always)]
fn seal_runs<D: Device>(burst: &mut Burst<D::Frame>, tunnels: &mut [TunnelState], device: &D) {
    let [run] = burst.queues.seal_runs[..] else {
        return seal_mixed(burst, tunnels, device);
    };
    let mut packets = Packets::<_, false>::of(burst, device);
    let outbound = &mut tunnels[run.tunnel as usize].outbound;
    outbound.sa().fetch();
    let sa = outbound.sa_mut();
    sa.seal_burst(packets.packets.len(), &mut packets);
}

/// A burst for several tunnels. Compiled on its own, so that a burst for one tunnel does not look up the tunnel of each
/// packet.
#[inline(never)]
fn seal_mixed<D: Device>(burst: &mut Burst<D::Frame>, tunnels: &mut [TunnelState], device: &D) {
    let mut packets = Packets::<_, true>::of(burst, device);
    seal_burst(tunnels, packets.packets.len(), &mut packets);
}

/// The packets of a burst as the cipher takes them: those of one tunnel, or `MIXED`.
struct Packets<'a, D: Device, const MIXED: bool> {
    device: &'a D,
    received: &'a mut [D::Frame],
    outputs: &'a mut [D::Frame],
    packets: &'a mut [ToSeal],
}

impl<'a, D: Device, const MIXED: bool> Packets<'a, D, MIXED> {
    #[inline(always)]
    fn of(burst: &'a mut Burst<D::Frame>, device: &'a D) -> Self {
        Self {
            device,
            received: &mut burst.received,
            outputs: &mut burst.outputs,
            packets: &mut burst.queues.to_seal,
        }
    }
}

impl<D: Device, const MIXED: bool> SealBurst for Packets<'_, D, MIXED> {
    const MIXED: bool = MIXED;

    #[inline]
    fn sa(&self, n: usize) -> usize {
        self.packets[n].tunnel as usize
    }

    #[inline]
    fn packet(&mut self, n: usize) -> causeway_esp::ToSeal<'_> {
        let packet = &self.packets[n];
        let frame = &mut self.received[packet.index as usize];
        causeway_esp::ToSeal {
            frame: &mut self.device.room(frame)[packet.l3.into()..],
            len: packet.length.into(),
            out: &mut self.device.room(&mut self.outputs[n])[ETHERNET..],
        }
    }

    /// The packet's first line is in the cache, since its header was read.
    #[inline]
    fn fetch(&mut self, n: usize) {
        let packet = &self.packets[n];
        let frame = self.device.room(&mut self.received[packet.index as usize]);
        let end = usize::from(packet.l3) + usize::from(packet.length);
        prefetch_write(frame.get_mut(end..).unwrap_or_default());
        prefetch_write(self.device.room(&mut self.outputs[n]));
    }

    #[inline]
    fn sealed(&mut self, n: usize, result: Result<usize, SealError>) {
        // The length field of an outer packet has 16 bits.
        self.packets[n].sealed = result.map(|length| length as u16);
    }
}

/// A packet longer than its tunnel's MTU, cut into fragments that are not sealed yet.
pub(crate) struct Cut {
    fragments: Fragments,
    index: usize,
    tunnel: usize,
    /// The offset of its IP header in the frame.
    l3: usize,
    /// Its length, IP header included.
    pub(crate) length: usize,
}

/// Cuts the packet at `index` of the burst, unless its fragments have no next hop.
// It parses the headers again, so that they stay in registers on the fast path.
#[cold]
pub(crate) fn cut<D: Device>(
    burst: &Burst<D::Frame>,
    index: usize,
    l3: usize,
    tunnel: usize,
    tunnels: &mut Tunnels,
    waiting: &Waiting<D::Frame>,
    device: &D,
) -> Result<Cut, DropReason> {
    let frame = device.bytes(&burst.received[index]);
    let headers = Headers::parse(frame, l3).map_err(|Malformed| DropReason::Ipv4Malformed)?;
    let state = &tunnels.states[tunnel];
    let packet = &frame[headers.l3..headers.l3 + headers.total];
    let fragments = Fragments::new(packet, state.max_inner).ok_or(DropReason::Ipv4Malformed)?;
    waiting.admit(state.hop, fragments.count())?;
    tunnels.mark_used(tunnel);
    Ok(Cut {
        fragments,
        index,
        tunnel,
        l3,
        length: headers.total,
    })
}

/// Seals every fragment into [`Burst::pieces`], or none.
#[cold]
pub(crate) fn seal_pieces<D: Device>(
    burst: &mut Burst<D::Frame>,
    cut: &Cut,
    tunnels: &mut Tunnels,
    device: &mut D,
) -> Result<(), DropReason> {
    let sealed = try_seal_pieces(burst, cut, tunnels, device);
    if sealed.is_err() {
        for (piece, _) in burst.pieces.drain(..) {
            device.release(piece);
        }
    }
    sealed
}

fn try_seal_pieces<D: Device>(
    burst: &mut Burst<D::Frame>,
    cut: &Cut,
    tunnels: &mut Tunnels,
    device: &mut D,
) -> Result<(), DropReason> {
    let state = &mut tunnels.states[cut.tunnel];
    let frame = &mut burst.received[cut.index];
    let count = cut.fragments.count();
    for index in 0..count {
        let packet = &mut device.room(frame)[cut.l3..];
        let mut piece = cut.fragments.piece(packet, index);
        if index + 1 == count {
            // Behind the last fragment the frame may have less room than TFC padding needs. The front of the packet is
            // sealed by now, so the fragment moves there.
            packet.copy_within(piece.clone(), 0);
            piece = 0..piece.len();
        }
        // Sealing writes behind the fragment, over the payload of the next one.
        let tail = piece.end..packet.len().min(piece.end + OVERWRITTEN);
        let mut saved = [0; OVERWRITTEN];
        let saved = &mut saved[..tail.len()];
        saved.copy_from_slice(&packet[tail.clone()]);
        let at = cut.l3 + piece.start;
        let sealed = seal_piece(frame, at, piece.len(), state, device)?;
        burst.pieces.push(sealed);
        device.room(frame)[cut.l3..][tail].copy_from_slice(saved);
    }
    Ok(())
}

/// Seals the IP packet of `length` octets at the offset `at` of `frame` into a frame of its own. Returns that frame and
/// the length of the outer packet.
fn seal_piece<D: Device>(
    frame: &mut D::Frame,
    at: usize,
    length: usize,
    state: &mut TunnelState,
    device: &mut D,
) -> Result<(D::Frame, usize), DropReason> {
    let mut output = device.allocate().ok_or(DropReason::NoFrame)?;
    let sealed = state.outbound.sa_mut().seal(
        &mut device.room(frame)[at..],
        length,
        &mut device.room(&mut output)[ETHERNET..],
    );
    match sealed {
        Ok(length) => Ok((output, length)),
        Err(error) => {
            device.release(output);
            Err(drop_reason(error))
        }
    }
}

pub(crate) fn drop_reason(error: SealError) -> DropReason {
    match error {
        SealError::NotIp => DropReason::InnerMalformed,
        SealError::NotReserved => DropReason::SequenceNotReserved,
        SealError::Exhausted => DropReason::SequenceExhausted,
        SealError::Expired => DropReason::SaExpired,
        SealError::TooBig | SealError::NoTailRoom | SealError::OutputTooSmall => {
            DropReason::NoFrame
        }
    }
}
