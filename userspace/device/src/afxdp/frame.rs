//! The token of one UMEM frame, and the only code that reads and writes a frame's bytes.
#![allow(unsafe_code)]

use std::slice;

use xsk_rs::{FrameDesc, Umem};

/// A frame of one [`AfXdp`](super::AfXdp) device: who holds the token owns the frame's bytes.
///
/// A token is made from what a ring of the kernel handed out (or, once, from the new UMEM) and
/// ends in a ring or a free list; `FrameDesc` is `Copy`, so it stays private to this module tree.
#[derive(Debug)]
#[must_use = "a dropped frame is lost for its device: transmit or release it"]
pub struct XdpFrame {
    pub(super) desc: FrameDesc,
    /// The port (queue and worker) that the frame belongs to, unique in this process.
    pub(super) port: u32,
}

impl XdpFrame {
    /// The packet's bytes.
    pub(super) fn bytes<'a>(&'a self, umem: &'a Umem) -> &'a [u8] {
        // SAFETY: the caller passes the UMEM of this frame's port. The token is unique and
        // borrowed shared, so nobody, the kernel included, writes the frame meanwhile.
        unsafe { umem.data(&self.desc) }.contents()
    }

    /// All bytes from the packet's start to the frame's end.
    pub(super) fn room<'a>(&'a mut self, umem: &'a Umem) -> &'a mut [u8] {
        // SAFETY: the caller passes the UMEM of this frame's port, and the token is unique and
        // borrowed exclusively, so nobody else reads or writes the frame.
        let mut data = unsafe { umem.data_mut(&mut self.desc) };
        // xsk-rs shows no more than the current length, and only for as long as its own borrow:
        // show all, then restore the length.
        let len = data.contents().len();
        data.cursor().set_pos(usize::MAX);
        let (start, capacity) = {
            let all = data.contents_mut();
            (all.as_mut_ptr(), all.len())
        };
        data.cursor().set_pos(len);
        // SAFETY: pointer and length are the slice that xsk-rs gave above for this frame. The
        // UMEM stays mapped while it is borrowed, and the exclusive borrow of the token, which
        // lasts as long as the result, keeps every other access away.
        unsafe { slice::from_raw_parts_mut(start, capacity) }
    }

    /// Sets the packet's length.
    pub(super) fn set_len(&mut self, umem: &Umem, len: usize) {
        // SAFETY: as in `room`.
        let mut data = unsafe { umem.data_mut(&mut self.desc) };
        let mut cursor = data.cursor();
        assert!(len <= cursor.buf_len(), "a packet longer than its frame");
        cursor.set_pos(len);
    }
}
