//! The device with the worker's counts: every frame of a received packet that leaves the path is counted here.

use causeway_device::Device;
use causeway_steering::DropReason;

use crate::counters::Totals;
use crate::transmit::{Origin, Outgoing};

pub(crate) struct Io<D> {
    pub(crate) device: D,
    pub(crate) totals: Totals,
}

impl<D: Device> Io<D> {
    /// Drops a finished packet that waited for a next hop or for the transmit ring.
    pub(crate) fn drop_outgoing(&mut self, outgoing: Outgoing<D::Frame>, reason: DropReason) {
        self.device.release(outgoing.frame);
        if let Origin::Received(_) = outgoing.origin {
            self.totals.waiting -= 1;
            self.totals.drops[reason] += 1;
        }
    }

    /// Drops a received packet that a hold or the ordered queue kept.
    pub(crate) fn drop_kept(&mut self, frame: D::Frame, reason: DropReason) {
        self.device.release(frame);
        self.totals.waiting -= 1;
        self.totals.drops[reason] += 1;
    }
}
