//! The transmit side of a worker's socket on its transmit queue. A worker has exactly one.
#![allow(unsafe_code)]

use std::{
    collections::VecDeque,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
    time::Instant,
};

use xsk_rs::{FrameDesc, TxQueue};

use super::{
    frame::XdpFrame,
    pool::{Pool, Rings},
};
use crate::{device::STALL_AFTER, diagnostics::Level};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// IEEE 802 local experimental EtherType 1: hosts ignore it.
const EXPERIMENTAL: [u8; 2] = [0x88, 0xb5];

/// The transmit side of a worker's socket on its transmit queue.
pub(super) struct TxSocket {
    /// The id of this worker's [`RxSocket`](super::rx_socket::RxSocket) on the same queue.
    id: u32,
    pool: Arc<Pool>,
    /// The worker's number among the transmitters of the queue.
    transmitter: u32,
    ring: TxQueue,
    scratch: Vec<FrameDesc>,
    free: Vec<FrameDesc>,
    /// The content of the ring after the last transmission, in order.
    queued: VecDeque<FrameDesc>,
    /// The number of frames that were transmitted and are not reclaimed yet.
    in_flight: usize,
}

impl TxSocket {
    /// `free` holds the worker's frames by [`Partition::share`](super::partition::Partition::share).
    pub(super) fn new(
        id: u32,
        pool: Arc<Pool>,
        transmitter: u32,
        ring: TxQueue,
        free: Vec<FrameDesc>,
    ) -> Self {
        Self {
            id,
            pool,
            transmitter,
            ring,
            scratch: Vec::with_capacity(free.len()),
            queued: VecDeque::with_capacity(free.len()),
            free,
            in_flight: 0,
        }
    }

    pub(super) fn allocate(&mut self) -> Option<XdpFrame> {
        let desc = self.free.pop()?;
        Some(XdpFrame {
            desc,
            socket: self.id,
        })
    }

    /// Takes back a frame from [`TxSocket::allocate`].
    pub(super) fn release(&mut self, frame: XdpFrame) {
        self.free.push(frame.desc);
    }

    /// Queues the frames of `from` that fit into the ring, in order, and kicks the kernel.
    pub(super) fn transmit(&mut self, from: &mut Vec<XdpFrame>) -> usize {
        // The ring has an entry for each of this worker's frames. But the kernel frees entries only
        // when it publishes its read position, so count those that are certainly free.
        let free_entries = self.ring.nb_free_exact();
        let count = from.len().min(free_entries as usize);
        self.scratch.clear();
        for frame in from.drain(..count) {
            let ours = frame.socket == self.id && !self.pool.partition.receives(frame.desc.addr());
            assert!(ours, "the frame did not come from this device's allocate");
            // The kernel discards an empty descriptor without completing it, which would lose the frame.
            assert!(frame.desc.lengths().data() > 0, "the frame has no packet");
            self.scratch.push(frame.desc);
        }
        // SAFETY: the frames belong to this ring's UMEM, and their tokens were consumed above.
        let taken = unsafe { self.ring.produce(&self.scratch) };
        assert_eq!(taken, count, "the transmit ring is full");
        let waiting = self.pool.partition.transmit_ring() - free_entries;
        let sent = self.queued.len() - waiting as usize;
        self.queued.drain(..sent);
        self.queued.extend(&self.scratch);
        self.in_flight += count;
        self.kick();
        count
    }

    /// Makes the kernel send the packets of the ring, until it is empty or makes no progress. In copy mode one call sends
    /// a limited number of packets and then returns EAGAIN. xsk-rs hides that error, so the ring shows the progress.
    pub(super) fn kick(&mut self) {
        let mut before = self.waiting();
        if before == 0 {
            return;
        }
        let start = Instant::now();
        while before > 0 && self.ring.needs_wakeup() {
            // An error means that the NIC is gone, and then there is no progress either.
            let _ = self.ring.wakeup();
            // The process may also be stopped on return from a system call.
            if start.elapsed() > STALL_AFTER {
                self.invalidate_pending();
            }
            let now = self.waiting();
            if now >= before {
                break;
            }
            before = now;
        }
    }

    /// Overwrites the headers of the packets that the kernel has not taken yet, since a descriptor cannot be taken back.
    /// The new destination is the sender itself, so that no switch delivers the packet. The new type is the IEEE 802
    /// local experimental EtherType 1.
    pub(super) fn invalidate_pending(&mut self) {
        let taken = self.queued.len() - self.waiting() as usize;
        for desc in self.queued.range_mut(taken..) {
            // SAFETY: the frame belongs to this ring's UMEM, and `transmit` consumed its token. So nothing else in this
            // process accesses the frame. The kernel may read it at this moment, and then sends the old header, the new
            // header or a mixture. It interprets none of them.
            let mut data = unsafe { self.pool.umem.data_mut(desc) };
            if let Some(header) = data.contents_mut().first_chunk_mut::<ETHERNET>() {
                header.copy_within(6..12, 0);
                header[12..].copy_from_slice(&EXPERIMENTAL);
            }
        }
    }

    /// The number of packets in the ring that the kernel has not taken yet.
    pub(super) fn waiting(&mut self) -> u32 {
        if self.in_flight == 0 {
            return 0;
        }
        self.pool.partition.transmit_ring() - self.ring.nb_free_exact()
    }

    /// The fill level of the transmit ring. The worker's own frames limit it.
    pub(super) fn level(&mut self) -> Level {
        Level {
            entries: self.waiting() as usize,
            room: self.pool.partition.quota as usize,
        }
    }

    /// Fetches completed frames; those of other workers go to their own lists.
    pub(super) fn reclaim(&mut self, rings: &mut Rings) {
        let before = self.free.len();
        let transmitter = self.transmitter as usize;
        rings.reclaim(&self.pool.partition, transmitter, &mut self.free);
        self.in_flight -= self.free.len() - before;
    }

    /// The number of frames that were transmitted and are not reclaimed yet.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether the next burst may find too few free frames.
    pub(super) fn must_reclaim(&self) -> bool {
        self.in_flight > 0 && self.free.len() < self.pool.partition.quota as usize / 2
    }

    /// Whether no frame is free while some are in flight.
    pub(super) fn is_out_of_frames(&self) -> bool {
        self.in_flight > 0 && self.free.is_empty()
    }

    /// The number of frames that the worker holds or that are in flight.
    pub(super) fn not_free(&self) -> usize {
        self.pool.partition.quota as usize - self.free.len()
    }
}

impl AsFd for TxSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the transmit ring keeps its socket open for as long as it lives, and the result
        // borrows the ring.
        unsafe { BorrowedFd::borrow_raw(self.ring.fd().as_raw_fd()) }
    }
}
