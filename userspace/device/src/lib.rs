//! Frames, bursts and the devices that move them: AF_XDP sockets, and a NIC pair in memory.
//!
//! The worker is generic over [`Device`], so that the same loop runs over a kernel's queue and
//! over [`memory`]. A frame is a move-only token: whoever holds it owns its bytes, and safe code
//! cannot give one frame to two rings.

/// A burst-oriented packet device, owned by one worker.
pub trait Device {
    /// A packet buffer of this device. Neither `Copy` nor `Clone`; dropping one loses it for the
    /// device, so every frame ends in [`Device::transmit`] or [`Device::release`].
    type Frame;

    /// Moves at most `max` received packets to the end of `into` and returns how many.
    /// Never allocates: `into` has room for `max` more.
    fn receive(&mut self, into: &mut Vec<Self::Frame>, max: usize) -> usize;

    /// A free frame to write a packet into, or `None` while all are on their way.
    fn allocate(&mut self) -> Option<Self::Frame>;

    /// The packet in a frame, from its Ethernet header on.
    fn bytes<'a>(&'a self, frame: &'a Self::Frame) -> &'a [u8];

    /// The whole room of a frame (its capacity, not its length) to write a packet into.
    /// Takes `&self` so that one frame can be read while another is written.
    fn room<'a>(&'a self, frame: &'a mut Self::Frame) -> &'a mut [u8];

    /// Sets the length in bytes of the packet that stands at the start of a frame's room.
    fn set_len(&self, frame: &mut Self::Frame, len: usize);

    /// Queues all frames of `from` for transmission, in order, and wakes the other side once if
    /// that is needed. Frames that found no room in the ring remain in `from`, in order.
    /// Returns how many were taken.
    fn transmit(&mut self, from: &mut Vec<Self::Frame>) -> usize;

    /// Gives a frame back to the device.
    fn release(&mut self, frame: Self::Frame);

    /// Housekeeping, once per round of the worker: reclaims completed frames, refills the
    /// receive side, and kicks transmissions that the kernel has not finished.
    fn maintain(&mut self);

    /// Sleeps until a packet arrives, a transmission can go on, [`Wake::wake`] is called or the
    /// time is over.
    fn wait(&mut self, timeout: std::time::Duration);
}
