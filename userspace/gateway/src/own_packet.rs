//! Packets that the worker itself sends through a tunnel: control messages and dummies.

use std::time::Instant;

use causeway_device::Device;
use causeway_esp::TAIL_ROOM;
use causeway_steering::DropReason;
use causeway_steering::headers::ETHERNET;

use crate::egress::Egress;
use crate::io::Io;
use crate::next_hop::Route;
use crate::seal::drop_reason;
use crate::transmit::Origin;
use crate::tunnel::Tunnels;

/// The payload of a dummy in octets, that of a small packet. TFC pads it.
const DUMMY: [u8; 64] = [0; 64];

pub(crate) enum OwnPacket<'a> {
    /// An IP packet from control.
    Message(&'a [u8]),
    /// A dummy packet (RFC 4303 section 2.6).
    Dummy,
}

/// Seals them. Its buffer has room for what sealing writes behind a packet: TFC padding, which may be as long as the
/// tunnel's longest packet, and the trailer.
pub(crate) struct OwnSealer {
    buffer: Vec<u8>,
}

impl OwnSealer {
    pub(crate) fn new(mtu: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(mtu + TAIL_ROOM),
        }
    }

    /// Seals one packet and queues it.
    ///
    /// # Errors
    /// The packet is too long, or there is no next hop, frame or sequence number for it.
    #[cold]
    pub(crate) fn send<D: Device>(
        &mut self,
        packet: OwnPacket,
        tunnel: usize,
        now: Instant,
        tunnels: &mut Tunnels,
        egress: &mut Egress<D::Frame>,
        io: &mut Io<D>,
    ) -> Result<(), DropReason> {
        let state = &tunnels.states[tunnel];
        let route = Route::own(state.peer, state.hop);
        let octets = match packet {
            OwnPacket::Message(octets) => octets,
            OwnPacket::Dummy => &DUMMY,
        };
        let length = octets.len();
        if length > state.max_inner {
            return Err(DropReason::TooBig);
        }
        egress.waiting.admit(route.hop, 1)?;
        let mut output = io.device.allocate().ok_or(DropReason::NoFrame)?;
        tunnels.mark_used(tunnel);
        let state = &mut tunnels.states[tunnel];
        self.buffer.clear();
        self.buffer.extend_from_slice(octets);
        self.buffer.resize(state.max_inner + TAIL_ROOM, 0);
        let room = &mut io.device.room(&mut output)[ETHERNET..];
        let outbound = state.outbound.sa_mut();
        let sealed = match packet {
            OwnPacket::Message(_) => outbound.seal(&mut self.buffer, length, room),
            OwnPacket::Dummy => outbound.seal_dummy(&mut self.buffer, length, room),
        };
        match sealed {
            Ok(outer) => {
                if let OwnPacket::Message(_) = packet {
                    io.totals.sealed.add(length);
                    io.totals.messages_sealed += 1;
                }
                egress.enqueue(output, outer, Origin::Worker, route, now, io);
                Ok(())
            }
            Err(error) => {
                io.device.release(output);
                Err(drop_reason(error))
            }
        }
    }
}
