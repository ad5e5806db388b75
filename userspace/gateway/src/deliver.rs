//! The last steps of a finished packet: its next hop, its Ethernet header, its place in the queue.

use std::net::IpAddr;
use std::time::Instant;

use causeway_device::Device;
use causeway_routes::Lookup;
use causeway_steering::Drop;
use causeway_steering::headers::{ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6};

use crate::backlog::{Origin, Outgoing};
use crate::worker::Worker;

/// Where a finished packet goes.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) destination: IpAddr,
    pub(crate) hop: Lookup,
    /// The tunnel that brought the packet, if one did.
    pub(crate) opened: Option<usize>,
}

impl Way {
    /// Of a packet that the gateway itself sends, sealed or made by it.
    pub(crate) fn own(destination: IpAddr, hop: Lookup) -> Self {
        Self {
            destination,
            hop,
            opened: None,
        }
    }
}

impl<D: Device> Worker<D> {
    /// Whether `frames` finished packets may leave towards `hop`, or wait for it.
    ///
    /// Asked before a packet is sealed, so that one without a way costs neither a sequence number
    /// nor a pass of the cipher.
    #[inline]
    pub(crate) fn admit(&self, hop: Lookup, frames: usize) -> Result<(), Drop> {
        match hop {
            Lookup::Ready(_) => Ok(()),
            Lookup::Unresolved(hop) if self.waiting.has_room(hop, frames) => Ok(()),
            Lookup::Unresolved(_) => Err(Drop::NeighbourQueueFull),
            Lookup::Unreachable => Err(Drop::Unreachable),
        }
    }

    /// Sends the IP packet of `length` octets that stands behind the room for an Ethernet header,
    /// or lets it wait, after [`Worker::admit`] has said that it may.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        mut frame: D::Frame,
        length: usize,
        origin: Origin,
        way: Way,
        now: Instant,
    ) {
        self.device.set_len(&mut frame, ETHERNET + length);
        if let Origin::Received(_) = origin {
            self.totals.waiting += 1;
        }
        let outgoing = Outgoing { frame, origin };
        match way.hop {
            Lookup::Ready(mac) => {
                self.in_use = Some(way.destination);
                self.send(outgoing, mac);
            }
            Lookup::Unresolved(hop) => self.waiting.push(outgoing, way, hop, now),
            Lookup::Unreachable => self.discard(outgoing, Drop::Unreachable),
        }
    }

    /// Puts a packet at the end of the backlog, towards `mac`.
    #[inline]
    pub(crate) fn send(&mut self, mut outgoing: Outgoing<D::Frame>, mac: [u8; 6]) {
        let room = self.device.room(&mut outgoing.frame);
        // The packet that leaves tells its family itself, outer or inner, whoever wrote it.
        let ipv6 = room[ETHERNET] >> 4 == 6;
        room[..ETHERNET].copy_from_slice(&ethernet(self.mac, mac, ipv6));
        self.backlog.push(outgoing);
    }

    /// Gives up a finished packet that was waiting.
    pub(crate) fn discard(&mut self, outgoing: Outgoing<D::Frame>, reason: Drop) {
        self.device.release(outgoing.frame);
        if let Origin::Received(_) = outgoing.origin {
            self.totals.waiting -= 1;
            self.totals.drops[reason] += 1;
        }
    }
}

/// The Ethernet header of a packet of either family.
#[inline]
pub(crate) fn ethernet(from: [u8; 6], to: [u8; 6], ipv6: bool) -> [u8; ETHERNET] {
    let ethertype = if ipv6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 };
    let mut header = [0; ETHERNET];
    header[..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&from);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
    header
}
