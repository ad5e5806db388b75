//! Packets that control sends through a tunnel: markers, which prove to the far end that every earlier packet of the SA has
//! arrived, and other control messages of demuxes.

use std::time::Instant;

use causeway_device::{Device, RxWatermark};
use causeway_steering::DropReason;

use crate::egress::Egress;
use crate::io::Io;
use crate::own_packet::{OwnPacket, OwnSealer};
use crate::reply::{Refused, Reply};
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
#[derive(Default)]
pub(crate) struct Markers {
    queue: Vec<Marker>,
}

impl Markers {
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
        sealer: &mut OwnSealer,
        tunnels: &mut Tunnels,
        egress: &mut Egress<D::Frame>,
        io: &mut Io<D>,
    ) {
        self.queue.retain_mut(|marker| {
            let before = marker.before.as_mut();
            let due = before.is_none_or(|before| before.is_read(&mut io.device) && !releasing);
            if due {
                let packet = OwnPacket::Message(&marker.packet);
                let sealed = sealer.send(packet, marker.tunnel, now, tunnels, egress, io);
                let sealed = sealed.map_err(|reason| Refused::NotSealed { reason });
                marker.reply.send(sealed);
            }
            !due
        });
    }
}
