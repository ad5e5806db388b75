//! Reclaim: the frames of a finished burst return to the device.

use causeway_device::Device;

use crate::burst::Burst;

/// Releases the received frames, collects transmitted ones and refills the rings.
#[inline]
pub(crate) fn reclaim<D: Device>(burst: &mut Burst<D::Frame>, device: &mut D) {
    device.release_burst(&mut burst.received);
    device.maintain();
}
