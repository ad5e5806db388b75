//! Packets that control sends through a tunnel itself: markers, which say at the far end that all
//! that was before them in the SA's order has come through, and other words of demuxes.

use std::time::Instant;

use causeway_device::{Arrived, Device};
use causeway_esp::TAIL_ROOM;
use causeway_steering::Drop;
use causeway_steering::headers::ETHERNET;

use crate::backlog::Origin;
use crate::deliver::Way;
use crate::reply::{Refused, Reply};
use crate::seal::reason;
use crate::worker::Worker;

/// How many may wait: commands come a few at a time, so more means that nothing is received for
/// lack of room to transmit.
const MOST: usize = 64;

/// A packet of control's that is not sealed yet.
#[derive(Debug)]
pub(crate) struct Mark {
    tunnel: usize,
    packet: Vec<u8>,
    /// What stood in the rings when it came, if it is to be sealed behind that.
    before: Option<Arrived>,
    reply: Reply,
}

impl<D: Device> Worker<D> {
    /// Seals the packet behind all that has arrived, or as soon as can be.
    pub(crate) fn mark(&mut self, tunnel: usize, packet: Vec<u8>, behind: bool, reply: Reply) {
        if tunnel >= self.lanes.len() {
            reply.send(Err(Refused::NoSuchTunnel { tunnel }));
            return;
        }
        if self.marks.len() == MOST {
            let reason = Drop::TransmitRingFull;
            reply.send(Err(Refused::NotSealed { reason }));
            return;
        }
        let before = behind.then(|| Arrived::at(&mut self.device));
        self.marks.push(Mark {
            tunnel,
            packet,
            before,
            reply,
        });
    }

    /// Seals what is due, after a burst was received and worked off.
    #[cold]
    pub(crate) fn seal_marks(&mut self, now: Instant) {
        let mut marks = std::mem::take(&mut self.marks);
        marks.retain_mut(|mark| {
            let due = mark.before.as_mut().is_none_or(|before| {
                // A hold that is on its way out keeps packets that came before.
                before.is_read(&mut self.device) && !self.holds.is_releasing()
            });
            if due {
                let sealed = self.seal_mark(mark, now);
                let sealed = sealed.map_err(|reason| Refused::NotSealed { reason });
                mark.reply.send(sealed);
            }
            !due
        });
        self.marks = marks;
    }

    fn seal_mark(&mut self, mark: &Mark, now: Instant) -> Result<(), Drop> {
        let lane = &mut self.lanes[mark.tunnel];
        let way = Way::own(lane.peer, lane.hop);
        let length = mark.packet.len();
        if length > lane.max_inner {
            return Err(Drop::TooBig);
        }
        self.admit(way.hop, 1)?;
        let mut out = self.device.allocate().ok_or(Drop::NoFrame)?;
        self.used(mark.tunnel);
        let room = &mut self.device.room(&mut out)[ETHERNET..];
        self.blank.clear();
        self.blank.extend_from_slice(&mark.packet);
        self.blank.resize(length + TAIL_ROOM, 0);
        let outbound = self.lanes[mark.tunnel].outbound.sa_mut();
        match outbound.seal(&mut self.blank, length, room) {
            Ok(sealed) => {
                self.totals.sealed.add(length);
                self.deliver(out, sealed, Origin::Worker, way, now);
                Ok(())
            }
            Err(error) => {
                self.device.release(out);
                Err(reason(error))
            }
        }
    }
}
