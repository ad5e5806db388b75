//! The I/O interface between a worker and the device that moves its packets.

use std::time::Duration;

use crate::wake::Waker;

/// A worker or a device that made no progress for longer than this is stalled: its pending packets must not be sent
/// any more, because the flow may use another gateway by now.
///
/// The limit is well above a worker's longest sleep and above the scheduling delays of a busy machine. It is no longer
/// than the time for which the peer's demux waits for a gateway that does not answer.
pub const STALL_AFTER: Duration = Duration::from_millis(250);

/// The read position of one receive ring at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxCursor {
    /// Packets read from the ring since the device was opened.
    pub read: u64,
    /// Packets in the ring that are not read yet.
    pub unread: usize,
    /// The most packets that may be in the ring without being visible yet: the kernel publishes a burst as a whole.
    pub unseen: usize,
}

/// A burst-oriented packet device, owned by one worker.
///
/// One round of the worker is: [`receive`](Device::receive), process, [`transmit`](Device::transmit),
/// [`maintain`](Device::maintain). A round without work ends with [`wait`](Device::wait).
pub trait Device {
    /// A packet buffer of this device. It is neither `Copy` nor `Clone`. Dropping a frame loses it for the device, so
    /// every frame ends in [`Device::transmit`] or [`Device::release`].
    type Frame;

    /// Appends at most `max` received packets to `into` and returns their number.
    /// Never allocates memory: `into` must have capacity for `max` more.
    fn receive(&mut self, into: &mut Vec<Self::Frame>, max: usize) -> usize;

    /// Returns a free frame to write a packet into, or `None` while all of them are in use.
    fn allocate(&mut self) -> Option<Self::Frame>;

    /// Appends free frames to `into` until it holds `count` frames or no frame is free. Never allocates memory:
    /// `into` must have capacity for `count` frames.
    #[inline]
    fn allocate_burst(&mut self, into: &mut Vec<Self::Frame>, count: usize) {
        while into.len() < count
            && let Some(frame) = self.allocate()
        {
            into.push(frame);
        }
    }

    /// The packet in a frame, starting with its Ethernet header.
    fn bytes<'a>(&'a self, frame: &'a Self::Frame) -> &'a [u8];

    /// The packet in a frame, to change it in place.
    fn bytes_mut<'a>(&'a self, frame: &'a mut Self::Frame) -> &'a mut [u8];

    /// The whole buffer of a frame, regardless of its packet's length. Its initial content is left over from earlier
    /// packets. Takes `&self`, so that one frame can be read while another one is written.
    fn room<'a>(&'a self, frame: &'a mut Self::Frame) -> &'a mut [u8];

    /// Sets the length in bytes of the packet at the start of a frame's buffer.
    ///
    /// # Panics
    /// If `len` exceeds the frame's buffer.
    fn set_len(&self, frame: &mut Self::Frame, len: usize);

    /// Queues the frames of `from` for transmission, in order, and wakes the kernel or the peer once if necessary.
    /// Frames that do not fit into the ring remain in `from`, in order. Returns the number of frames queued.
    ///
    /// # Panics
    /// If a frame did not come from [`Device::allocate`] of this device, or has no length.
    fn transmit(&mut self, from: &mut Vec<Self::Frame>) -> usize;

    /// Invalidates the packets that [`Device::transmit`] queued and that are not sent yet, because the worker found
    /// that it stalled. They may still be sent, but no host accepts them as the original packets.
    fn invalidate_pending(&mut self);

    /// Returns a received or allocated frame to the device.
    ///
    /// # Panics
    /// If the frame belongs to another device.
    fn release(&mut self, frame: Self::Frame);

    /// Returns all frames of a burst to the device and leaves the burst empty.
    ///
    /// # Panics
    /// If a frame belongs to another device.
    #[inline]
    fn release_burst(&mut self, burst: &mut Vec<Self::Frame>) {
        for frame in burst.drain(..) {
            self.release(frame);
        }
    }

    /// Housekeeping, once per round of the worker: reclaims transmitted frames, refills the receive side, and
    /// restarts transmissions that the kernel has not finished.
    fn maintain(&mut self);

    /// Sleeps until a packet arrives, transmission can continue, [`Waker::wake`] is called or `timeout` expires.
    fn wait(&mut self, timeout: Duration);

    /// A handle that ends [`Device::wait`] of this device from any thread.
    fn waker(&self) -> Waker;

    /// The read position of receive ring number `ring`, counted from 0; `None` if the device has no such ring.
    /// [`RxWatermark`](crate::RxWatermark) is built on it. Costs one load from a cache line that the kernel writes.
    fn rx_cursor(&mut self, ring: usize) -> Option<RxCursor>;

    /// Sends the packets that [`Device::transmit`] queued, for at most `timeout`. Returns whether the device has all
    /// of its frames back.
    fn drain(&mut self, timeout: Duration) -> bool;
}
