//! The token of one UMEM frame, and the only code that accesses a frame's bytes through it.
#![allow(unsafe_code)]

use std::slice;

use xsk_rs::{FrameDesc, Umem};

/// A frame of one [`AfXdp`](super::AfXdp) device. The owner of this token owns the frame's bytes.
///
/// A token is made from a descriptor that a ring of the kernel returned (or, once, from the new UMEM). It ends in a
/// ring or a free list. `FrameDesc` is `Copy`, so it stays private to this module tree.
#[derive(Debug)]
#[must_use = "a dropped frame is lost for its device: transmit or release it"]
pub struct XdpFrame {
    pub(super) desc: FrameDesc,
    /// The id of the [`RxSocket`](super::rx_socket::RxSocket) that stands for the frame's queue and worker.
    pub(super) socket: u32,
}

impl XdpFrame {
    /// The packet's bytes.
    pub(super) fn bytes<'a>(&'a self, umem: &'a Umem) -> &'a [u8] {
        // SAFETY: the caller passes the UMEM of this frame's queue. The token is unique and
        // borrowed shared, so neither this process nor the kernel writes the frame meanwhile.
        unsafe { umem.data(&self.desc) }.contents()
    }

    /// The packet's bytes, to change them in place.
    pub(super) fn bytes_mut<'a>(&'a mut self, umem: &'a Umem) -> &'a mut [u8] {
        // SAFETY: the caller passes the UMEM of this frame's queue. The token is unique and
        // borrowed exclusively, so nothing else accesses the frame.
        let mut data = unsafe { umem.data_mut(&mut self.desc) };
        let packet = data.contents_mut();
        let (start, len) = (packet.as_mut_ptr(), packet.len());
        // SAFETY: as in `room`.
        unsafe { slice::from_raw_parts_mut(start, len) }
    }

    /// All bytes from the start of the packet to the end of the frame.
    pub(super) fn room<'a>(&'a mut self, umem: &'a Umem) -> &'a mut [u8] {
        // SAFETY: the caller passes the UMEM of this frame's queue. The token is unique and
        // borrowed exclusively, so nothing else accesses the frame.
        let mut data = unsafe { umem.data_mut(&mut self.desc) };
        // xsk-rs gives access to the current length only: extend it to the whole frame, then restore it.
        let len = data.contents().len();
        data.cursor().set_pos(usize::MAX);
        let (start, capacity) = {
            let all = data.contents_mut();
            (all.as_mut_ptr(), all.len())
        };
        data.cursor().set_pos(len);
        // SAFETY: pointer and length are those of the slice that xsk-rs returned above for this
        // frame. The UMEM stays mapped while it is borrowed. The exclusive borrow of the token lasts
        // as long as the result and prevents every other access.
        unsafe { slice::from_raw_parts_mut(start, capacity) }
    }

    /// Sets the packet's length.
    pub(super) fn set_len(&mut self, umem: &Umem, len: usize) {
        // SAFETY: as in `room`.
        let mut data = unsafe { umem.data_mut(&mut self.desc) };
        let mut cursor = data.cursor();
        assert!(
            len <= cursor.buf_len(),
            "the packet is longer than its frame"
        );
        cursor.set_pos(len);
    }
}
