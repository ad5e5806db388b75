//! Packets that control sends through a tunnel: markers, which prove to the far end that every earlier packet of the SA has
//! arrived, and other control messages of demuxes.

use std::time::Instant;

use causeway_device::{Device, RxWatermark};
use causeway_esp::TAIL_ROOM;
use causeway_steering::DropReason;
use causeway_steering::headers::ETHERNET;

use crate::egress::Egress;
use crate::io::Io;
use crate::next_hop::Route;
use crate::reply::{Refused, Reply};
use crate::seal::drop_reason;
use crate::transmit::Origin;
use crate::tunnel::Tunnels;

/// Markers that may wait. Commands come a few at a time, so more than that means that no burst is received because the
/// transmit ring is full.
const CAPACITY: usize = 64;

/// A packet from control that is not sealed yet.
struct Marker {
    tunnel: usize,
    packet: Vec<u8>,
    /// The packets that were in the rings when the marker came, if it is sealed only behind them.
    before: Option<RxWatermark>,
    reply: Reply,
}

/// Markers in the order of their commands.
pub(crate) struct Markers {
    queue: Vec<Marker>,
    /// The packet that is sealed, with room for the trailer.
    packet: Vec<u8>,
}

impl Markers {
    pub(crate) fn new(mtu: usize) -> Self {
        Self {
            queue: Vec::new(),
            packet: Vec::with_capacity(mtu + TAIL_ROOM),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues a packet to be sealed in the next round, or `behind` all packets that have arrived.
    pub(crate) fn push(
        &mut self,
        tunnel: usize,
        packet: Vec<u8>,
        behind: bool,
        reply: Reply,
        device: &mut impl Device,
    ) {
        if self.queue.len() == CAPACITY {
            let reason = DropReason::TransmitRingFull;
            reply.send(Err(Refused::NotSealed { reason }));
            return;
        }
        let before = behind.then(|| RxWatermark::at(device));
        self.queue.push(Marker {
            tunnel,
            packet,
            before,
            reply,
        });
    }

    /// Seals the markers that are due, after a burst was received and forwarded. `releasing`: a released hold still keeps
    /// packets that arrived before.
    #[cold]
    pub(crate) fn seal_due<D: Device>(
        &mut self,
        now: Instant,
        releasing: bool,
        tunnels: &mut Tunnels,
        egress: &mut Egress<D::Frame>,
        io: &mut Io<D>,
    ) {
        let buffer = &mut self.packet;
        self.queue.retain_mut(|marker| {
            let before = marker.before.as_mut();
            let due = before.is_none_or(|before| before.is_read(&mut io.device) && !releasing);
            if due {
                let sealed = seal(marker, buffer, now, tunnels, egress, io);
                let sealed = sealed.map_err(|reason| Refused::NotSealed { reason });
                marker.reply.send(sealed);
            }
            !due
        });
    }
}

fn seal<D: Device>(
    marker: &Marker,
    buffer: &mut Vec<u8>,
    now: Instant,
    tunnels: &mut Tunnels,
    egress: &mut Egress<D::Frame>,
    io: &mut Io<D>,
) -> Result<(), DropReason> {
    let state = &tunnels.states[marker.tunnel];
    let route = Route::own(state.peer, state.hop);
    let length = marker.packet.len();
    if length > state.max_inner {
        return Err(DropReason::TooBig);
    }
    egress.waiting.admit(route.hop, 1)?;
    let mut output = io.device.allocate().ok_or(DropReason::NoFrame)?;
    tunnels.mark_used(marker.tunnel);
    let room = &mut io.device.room(&mut output)[ETHERNET..];
    buffer.clear();
    buffer.extend_from_slice(&marker.packet);
    buffer.resize(length + TAIL_ROOM, 0);
    let outbound = tunnels.states[marker.tunnel].outbound.sa_mut();
    match outbound.seal(buffer, length, room) {
        Ok(sealed) => {
            io.totals.sealed.add(length);
            io.totals.messages_sealed += 1;
            egress.enqueue(output, sealed, Origin::Worker, route, now, io);
            Ok(())
        }
        Err(error) => {
            io.device.release(output);
            Err(drop_reason(error))
        }
    }
}
