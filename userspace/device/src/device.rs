//! The contract between a worker and whatever moves its packets.

use std::time::Duration;

use crate::{Intake, Waker};

/// What did not move for longer than this is too late: the worker, or the device on its way out, has
/// stood still, and others may have gone another way meanwhile. Well above a worker's longest sleep
/// and what a busy machine makes of it, and no longer than a peer's demux can wait for a gateway
/// that does not answer.
pub const STANDSTILL: Duration = Duration::from_millis(250);

/// How full a device's rings are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Packets that wait unread.
    pub receive: Level,
    /// Frames that stand ready to receive into, on queues that several devices share for all of them.
    pub fill: Level,
    /// Packets that wait to be sent.
    pub transmit: Level,
}

/// How full one ring is, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// What stands in it.
    pub entries: usize,
    /// The most that could.
    pub room: usize,
}

impl std::ops::AddAssign for Level {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.room += other.room;
    }
}

/// A burst-oriented packet device, owned by one worker.
///
/// A round of the worker is: [`receive`](Device::receive), work, [`transmit`](Device::transmit),
/// [`maintain`](Device::maintain); and [`wait`](Device::wait) when there was nothing to do.
pub trait Device {
    /// A packet buffer of this device. Neither `Copy` nor `Clone`; dropping one loses it for the
    /// device, so every frame ends in [`Device::transmit`] or [`Device::release`].
    type Frame;

    /// Moves at most `max` received packets to the end of `into` and returns how many.
    /// Never allocates: `into` has room for `max` more.
    fn receive(&mut self, into: &mut Vec<Self::Frame>, max: usize) -> usize;

    /// A free frame to write a packet into, or `None` while all are on their way.
    fn allocate(&mut self) -> Option<Self::Frame>;

    /// Adds free frames to the end of `into` until it has `count`, or all are on their way. Never allocates
    /// memory: `into` has room for them.
    #[inline]
    fn allocate_burst(&mut self, into: &mut Vec<Self::Frame>, count: usize) {
        while into.len() < count
            && let Some(frame) = self.allocate()
        {
            into.push(frame);
        }
    }

    /// The packet in a frame, from its Ethernet header on.
    fn bytes<'a>(&'a self, frame: &'a Self::Frame) -> &'a [u8];

    /// The whole room of a frame (its capacity, not its length) to write a packet into. What
    /// stands in it at first is left over from earlier packets.
    /// Takes `&self` so that one frame can be read while another is written.
    fn room<'a>(&'a self, frame: &'a mut Self::Frame) -> &'a mut [u8];

    /// Sets the length in bytes of the packet that stands at the start of a frame's room.
    ///
    /// # Panics
    /// If `len` is more than the frame's room.
    fn set_len(&self, frame: &mut Self::Frame, len: usize);

    /// Queues all frames of `from` for transmission, in order, and wakes the other side once if
    /// that is needed. Frames that found no room in the ring remain in `from`, in order.
    /// Returns how many were taken.
    ///
    /// # Panics
    /// If a frame did not come from [`Device::allocate`] of this device, or has no length.
    fn transmit(&mut self, from: &mut Vec<Self::Frame>) -> usize;

    /// Makes worthless what [`Device::transmit`] has taken and what has not left yet, for a worker that
    /// finds that it is too late for it: nobody receives it as what it was.
    fn forsake(&mut self);

    /// Gives a frame back to the device, whether received or allocated.
    ///
    /// # Panics
    /// If the frame is of another device.
    fn release(&mut self, frame: Self::Frame);

    /// Gives all frames of a burst back, which is left empty.
    ///
    /// # Panics
    /// If a frame is of another device.
    #[inline]
    fn release_burst(&mut self, burst: &mut Vec<Self::Frame>) {
        for frame in burst.drain(..) {
            self.release(frame);
        }
    }

    /// Housekeeping, once per round of the worker: reclaims completed frames, refills the
    /// receive side, and kicks transmissions that the kernel has not finished.
    fn maintain(&mut self);

    /// Sleeps until a packet arrives, a transmission can go on, [`Waker::wake`] is called or the
    /// time is over.
    fn wait(&mut self, timeout: Duration);

    /// A handle that ends this device's [`Device::wait`] from any thread.
    fn waker(&self) -> Waker;

    /// How full the rings are at this moment. Costs a few loads from lines that the kernel writes: for a look now
    /// and then.
    fn occupancy(&mut self) -> Occupancy;

    /// How a receive ring stands, by its number from 0 on; `None` behind the last. Costs a load from a line that the
    /// kernel writes.
    fn intake(&mut self, ring: usize) -> Option<Intake>;

    /// How many frames this device works with. Those that receive may be common to several
    /// devices, and each counts them.
    fn frames_total(&self) -> usize;

    /// How many of them are neither in this worker's hands nor on their way out for it. Packets that wait
    /// unread in the receive ring count as home: receive and release them before a drain.
    fn frames_home(&self) -> usize;

    /// Pushes out what was transmitted, for at most `timeout`, and returns whether every frame is
    /// home: `frames_home() == frames_total()`.
    fn drain(&mut self, timeout: Duration) -> bool;
}
