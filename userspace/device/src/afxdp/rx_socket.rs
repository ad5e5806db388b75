//! The receive side of a worker's socket on one queue. A worker has one for each queue.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
};

use xsk_rs::{FrameDesc, RxQueue};

use super::{frame::XdpFrame, partition::NAPI_BUDGET, pool::Pool, tx_socket::TxSocket};
use crate::{device::RxCursor, diagnostics::Level};

/// The receive side of a worker's socket on one queue.
pub(super) struct RxSocket {
    /// Unique in this process. It distinguishes the frames of this worker and queue from all others.
    pub(super) id: u32,
    pub(super) queue: u32,
    pub(super) pool: Arc<Pool>,
    ring: RxQueue,
    scratch: Box<[FrameDesc]>,
    /// Frames that the worker released and that are not in the fill ring yet.
    returned: Vec<FrameDesc>,
    /// The number of received frames that the worker holds.
    held: usize,
    /// The number of packets received since the socket was opened.
    read: u64,
}

impl RxSocket {
    pub(super) fn new(id: u32, queue: u32, pool: Arc<Pool>, ring: RxQueue) -> Self {
        let partition = pool.partition;
        Self {
            id,
            queue,
            ring,
            scratch: vec![FrameDesc::default(); partition.receive_ring as usize].into(),
            returned: Vec::with_capacity(partition.receive as usize),
            held: 0,
            read: 0,
            pool,
        }
    }

    /// Appends at most `max` received packets to `into` and returns their number.
    pub(super) fn receive(&mut self, into: &mut Vec<XdpFrame>, max: usize) -> usize {
        let max = max.min(self.scratch.len());
        // SAFETY: the ring belongs to a socket on this queue's UMEM. Each frame from the ring becomes
        // one token below.
        let count = unsafe { self.ring.consume(&mut self.scratch[..max]) };
        into.extend(self.scratch[..count].iter().map(|desc| XdpFrame {
            desc: *desc,
            socket: self.id,
        }));
        self.held += count;
        self.read += count as u64;
        count
    }

    /// Takes back a frame from [`RxSocket::receive`].
    pub(super) fn release(&mut self, frame: XdpFrame) {
        self.held -= 1;
        self.returned.push(frame.desc);
    }

    /// Releases all packets that the worker has not read.
    pub(super) fn discard(&mut self) {
        // SAFETY: as in `receive`, but each frame goes to the list of released frames.
        let count = unsafe { self.ring.consume(&mut self.scratch) };
        self.returned.extend_from_slice(&self.scratch[..count]);
    }

    /// The fill level of the receive ring.
    pub(super) fn level(&mut self) -> Level {
        Level {
            entries: self.ring.nb_avail_exact() as usize,
            room: self.scratch.len(),
        }
    }

    /// The read position of the receive ring. The packets of one driver poll become visible at the end of the poll.
    pub(super) fn rx_cursor(&mut self) -> RxCursor {
        let Level { entries, room } = self.level();
        RxCursor {
            read: self.read,
            unread: entries,
            unseen: (room - entries).min(NAPI_BUDGET as usize),
        }
    }

    /// The number of received frames that the worker holds.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Moves released frames to the fill ring and, with a `transmitter`, fetches its completed frames, under one lock.
    /// If another worker holds the lock, waits for it only if `must_wait`, or if this worker would soon run short.
    pub(super) fn recycle(&mut self, mut transmitter: Option<&mut TxSocket>, must_wait: bool) {
        let reclaims = transmitter.as_ref().is_some_and(|tx| tx.in_flight() > 0);
        if !reclaims && self.returned.is_empty() {
            return;
        }
        let short = self.must_refill() || transmitter.as_ref().is_some_and(|tx| tx.must_reclaim());
        let mut rings = if must_wait || short {
            self.pool.lock()
        } else if let Some(rings) = self.pool.try_lock() {
            rings
        } else {
            return;
        };
        if let Some(transmitter) = &mut transmitter {
            transmitter.reclaim(&mut rings);
        }
        let asleep = rings.refill(&mut self.returned);
        drop(rings);
        if asleep {
            self.wake_driver();
        }
    }

    /// Whether the fill ring could run empty because of the released frames kept here. All workers of the queue together
    /// keep at most half of the receive frames.
    fn must_refill(&self) -> bool {
        self.returned.len() >= self.pool.partition.receive_ring as usize / 2
    }

    /// Wakes a sleeping driver, because its fill ring has frames again.
    fn wake_driver(&mut self) {
        // `receive` finds waiting packets anyway, so the result is not needed. An error means that the NIC is gone, and
        // then no packets arrive any more.
        let _ = self.ring.poll(0);
    }
}

impl AsFd for RxSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the receive ring keeps its socket open for as long as it lives, and the result
        // borrows the ring.
        unsafe { BorrowedFd::borrow_raw(self.ring.fd().as_raw_fd()) }
    }
}
