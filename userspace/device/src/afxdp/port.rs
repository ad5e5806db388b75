//! One worker's socket on one queue: the receive side of every port, and the transmit side of the
//! port that the worker calls home.
#![allow(unsafe_code)]

use std::{
    collections::VecDeque,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
    time::Instant,
};

use xsk_rs::{FrameDesc, RxQueue, TxQueue};

use super::{
    frame::XdpFrame,
    partition::NAPI_BUDGET,
    pool::{Pool, Rings},
};
use crate::{Intake, Level, STANDSTILL};

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;
/// IEEE 802 local experimental EtherType 1: no host expects anything under it.
const EXPERIMENTAL: [u8; 2] = [0x88, 0xb5];

/// The receive side of a worker's socket on one queue.
pub(super) struct Port {
    /// Unique in this process, so that a frame of another worker or NIC is told from one of ours.
    pub(super) id: u32,
    pub(super) queue: u32,
    pub(super) pool: Arc<Pool>,
    receive: RxQueue,
    scratch: Box<[FrameDesc]>,
    /// Frames that the worker released, on their way to the fill ring.
    returned: Vec<FrameDesc>,
    /// Received frames in the worker's hands.
    held: usize,
    /// Packets that were ever received.
    read: u64,
}

impl Port {
    pub(super) fn new(id: u32, queue: u32, pool: Arc<Pool>, receive: RxQueue) -> Self {
        let split = pool.partition;
        Self {
            id,
            queue,
            receive,
            scratch: vec![FrameDesc::default(); split.receive_ring as usize].into(),
            returned: Vec::with_capacity(split.receive as usize),
            held: 0,
            read: 0,
            pool,
        }
    }

    /// Moves at most `max` received packets to `into`.
    pub(super) fn receive(&mut self, into: &mut Vec<XdpFrame>, max: usize) -> usize {
        let max = max.min(self.scratch.len());
        // SAFETY: the ring is of a socket on this port's UMEM. Each frame that it hands out
        // becomes one token below.
        let count = unsafe { self.receive.consume(&mut self.scratch[..max]) };
        into.extend(self.scratch[..count].iter().map(|desc| XdpFrame {
            desc: *desc,
            port: self.id,
        }));
        self.held += count;
        self.read += count as u64;
        count
    }

    /// Takes back a frame that [`Port::receive`] gave.
    pub(super) fn release(&mut self, frame: XdpFrame) {
        self.held -= 1;
        self.returned.push(frame.desc);
    }

    /// Releases all packets that the worker did not read.
    pub(super) fn discard(&mut self) {
        // SAFETY: as in `receive`; each frame goes to the list of those released.
        let count = unsafe { self.receive.consume(&mut self.scratch) };
        self.returned.extend_from_slice(&self.scratch[..count]);
    }

    /// Packets in the receive ring.
    pub(super) fn unread(&mut self) -> Level {
        Level {
            entries: self.receive.nb_avail_exact() as usize,
            room: self.scratch.len(),
        }
    }

    /// The receive ring at this moment. What one poll of the driver puts into it is shown at the poll's end.
    pub(super) fn intake(&mut self) -> Intake {
        let Level { entries, room } = self.unread();
        Intake {
            read: self.read,
            unread: entries,
            unseen: (room - entries).min(NAPI_BUDGET as usize),
        }
    }

    /// Received frames in the worker's hands.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Gives released frames to the fill ring, and at home fetches completed ones, under one hold
    /// of the lock. Where another worker has the lock, waits for it only if `must` or if this
    /// worker would soon run short.
    pub(super) fn settle(&mut self, mut home: Option<&mut Transmitter>, must: bool) {
        let reclaims = home.as_ref().is_some_and(|home| home.away > 0);
        if !reclaims && self.returned.is_empty() {
            return;
        }
        let short = self.must_refill() || home.as_ref().is_some_and(|home| home.must_reclaim());
        let mut rings = if must || short {
            self.pool.lock()
        } else if let Some(rings) = self.pool.try_lock() {
            rings
        } else {
            return;
        };
        if let Some(home) = &mut home {
            home.reclaim(&mut rings);
        }
        let asleep = rings.refill(&mut self.returned);
        drop(rings);
        if asleep {
            self.wake_driver();
        }
    }

    /// Whether so many released frames wait that the fill ring could run dry: all workers on the
    /// queue together keep back no more than half of the frames that receive.
    fn must_refill(&self) -> bool {
        self.returned.len() >= self.pool.partition.receive_ring as usize / 2
    }

    /// Tells a sleeping driver that its fill ring has frames again.
    fn wake_driver(&mut self) {
        // The answer, whether a packet waits, is for `receive` to find out; an error is a NIC
        // that went away, which shows in that nothing arrives any more.
        let _ = self.receive.poll(0);
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the receive ring keeps its socket open for as long as it lives, and the result
        // borrows it.
        unsafe { BorrowedFd::borrow_raw(self.receive.fd().as_raw_fd()) }
    }
}

/// The transmit side of a worker's socket on its home queue.
pub(super) struct Transmitter {
    /// The [`Port`] of this worker on the home queue.
    port: u32,
    pool: Arc<Pool>,
    /// This worker's number among those at home on the queue.
    home: u32,
    ring: TxQueue,
    scratch: Vec<FrameDesc>,
    free: Vec<FrameDesc>,
    /// What stood in the ring after the last transmission, in order.
    standing: VecDeque<FrameDesc>,
    /// Frames in the transmit ring or beyond, not yet reclaimed.
    away: usize,
}

impl Transmitter {
    /// `free` are the worker's frames of [`Partition::share`](super::partition::Partition::share).
    pub(super) fn new(
        port: u32,
        pool: Arc<Pool>,
        home: u32,
        ring: TxQueue,
        free: Vec<FrameDesc>,
    ) -> Self {
        Self {
            port,
            pool,
            home,
            ring,
            scratch: Vec::with_capacity(free.len()),
            standing: VecDeque::with_capacity(free.len()),
            free,
            away: 0,
        }
    }

    pub(super) fn allocate(&mut self) -> Option<XdpFrame> {
        let desc = self.free.pop()?;
        Some(XdpFrame {
            desc,
            port: self.port,
        })
    }

    /// Takes back a frame that [`Transmitter::allocate`] gave.
    pub(super) fn release(&mut self, frame: XdpFrame) {
        self.free.push(frame.desc);
    }

    /// Queues all frames of `from` for which there is room, in order, and kicks the kernel.
    pub(super) fn transmit(&mut self, from: &mut Vec<XdpFrame>) -> usize {
        // The ring has a place for each of this worker's frames, but the kernel frees a place
        // only when it publishes how far it read: ask for the count that is certain.
        let places = self.ring.nb_free_exact();
        let count = from.len().min(places as usize);
        self.scratch.clear();
        for frame in from.drain(..count) {
            let ours = frame.port == self.port && !self.pool.partition.receives(frame.desc.addr());
            assert!(
                ours,
                "a frame that did not come from this device's allocate"
            );
            // The kernel discards an empty descriptor without completing it: the frame were lost.
            assert!(frame.desc.lengths().data() > 0, "a frame without a packet");
            self.scratch.push(frame.desc);
        }
        // SAFETY: the frames belong to this ring's UMEM, and their tokens were consumed above.
        let taken = unsafe { self.ring.produce(&self.scratch) };
        assert_eq!(taken, count, "the transmit ring is full");
        let standing = self.pool.partition.transmit_ring() - places;
        let left = self.standing.len() - standing as usize;
        self.standing.drain(..left);
        self.standing.extend(&self.scratch);
        self.away += count;
        self.kick();
        count
    }

    /// Has the kernel send what stands in the ring, until it is empty or nothing moves. In copy
    /// mode one call sends about 32 packets and then says EAGAIN, which xsk-rs hides, so progress
    /// is read off the ring.
    pub(super) fn kick(&mut self) {
        let mut before = self.waiting();
        if before == 0 {
            return;
        }
        let began = Instant::now();
        while before > 0 && self.ring.needs_wakeup() {
            // An error is a NIC that went away: then nothing moves either.
            let _ = self.ring.wakeup();
            // A process is stopped on its way out of a system call as well.
            if began.elapsed() > STANDSTILL {
                self.forsake();
            }
            let now = self.waiting();
            if now >= before {
                break;
            }
            before = now;
        }
    }

    /// Makes worthless what the kernel has not taken yet: addressed to the sender itself, whom no
    /// switch gives it back, and of a type that stands for experiments (IEEE 802, local experimental
    /// EtherType 1). A descriptor cannot be taken back.
    pub(super) fn forsake(&mut self) {
        let left = self.standing.len() - self.waiting() as usize;
        for desc in self.standing.range_mut(left..) {
            // SAFETY: the frame is of this ring's UMEM, and its token was consumed by `transmit`; so
            // nobody in this process reads or writes it. The kernel may read it at this moment,
            // and then sends the old header, the new one or a mixture, none of which it trusts.
            let mut data = unsafe { self.pool.umem.data_mut(desc) };
            if let Some(header) = data.contents_mut().first_chunk_mut::<ETHERNET>() {
                header.copy_within(6..12, 0);
                header[12..].copy_from_slice(&EXPERIMENTAL);
            }
        }
    }

    /// Packets in the ring that the kernel has not taken yet.
    pub(super) fn waiting(&mut self) -> u32 {
        if self.away == 0 {
            return 0;
        }
        self.pool.partition.transmit_ring() - self.ring.nb_free_exact()
    }

    /// How full the transmit ring is: a worker can fill it with its own frames only.
    pub(super) fn level(&mut self) -> Level {
        Level {
            entries: self.waiting() as usize,
            room: self.pool.partition.quota as usize,
        }
    }

    /// Fetches completed frames, those of other workers into their lists.
    fn reclaim(&mut self, rings: &mut Rings) {
        let before = self.free.len();
        rings.reclaim(&self.pool.partition, self.home as usize, &mut self.free);
        self.away -= self.free.len() - before;
    }

    /// Frames that were transmitted and not reclaimed.
    pub(super) fn away(&self) -> usize {
        self.away
    }

    /// Whether so few frames are free that the next burst may find none.
    fn must_reclaim(&self) -> bool {
        self.away > 0 && self.free.len() < self.pool.partition.quota as usize / 2
    }

    /// Whether all free frames are used up while some are on their way.
    pub(super) fn starves(&self) -> bool {
        self.away > 0 && self.free.is_empty()
    }

    /// Frames in the worker's hands or on their way: all that are not in the free list.
    pub(super) fn not_free(&self) -> usize {
        self.pool.partition.quota as usize - self.free.len()
    }
}

impl AsFd for Transmitter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the transmit ring keeps its socket open for as long as it lives, and the result
        // borrows it.
        unsafe { BorrowedFd::borrow_raw(self.ring.fd().as_raw_fd()) }
    }
}
