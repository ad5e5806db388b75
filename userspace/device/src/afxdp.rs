//! AF_XDP sockets as a [`Device`]: one UMEM for each queue, and on it one socket for each worker.
//!
//! A worker receives on all queues, because the NIC chooses the queue of a flow and the XDP program chooses its worker.
//! A worker transmits on one queue, its transmit queue.

mod bind;
mod error;
mod frame;
mod monitor;
mod nic;
mod open;
mod options;
mod partition;
mod pool;
mod rx_socket;
mod tx_socket;

use std::{
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags};

pub use error::OpenError;
pub use frame::XdpFrame;
pub use monitor::{Monitor, Stats};
pub use options::{CopyMode, CopyPreference, FrameSize, OpenOptions};

use crate::{
    device::{Device, RxCursor},
    diagnostics::{Diagnostics, Level, Occupancy},
    wake::{Waker, sleep_on},
};
use rx_socket::RxSocket;
use tx_socket::TxSocket;

/// The longest sleep of a worker while the kernel has not finished its transmissions: no descriptor signals their end.
const TRANSMIT_POLL: Duration = Duration::from_millis(1);

/// One worker's sockets on the queues of a NIC. Made by [`AfXdp::open`], then moved to the
/// worker's thread.
pub struct AfXdp {
    /// By queue.
    rx: Box<[RxSocket]>,
    /// The queue on which this worker transmits.
    tx_queue: usize,
    tx: TxSocket,
    /// The queue that the next round reads first.
    first_queue: usize,
    frames: usize,
    waker: Waker,
    monitor: Monitor,
}

impl AfXdp {
    /// The queues and this worker's socket on each of them, for the XSKMAP.
    pub fn sockets(&self) -> impl Iterator<Item = (u32, BorrowedFd<'_>)> {
        self.rx.iter().map(|rx| (rx.queue, rx.as_fd()))
    }

    /// The copy mode that the kernel chose.
    pub fn copy_mode(&self) -> CopyMode {
        self.monitor.copy_mode()
    }

    /// A handle that reads this device's counters from any thread.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// The queue of a frame.
    fn queue_of(&self, frame: &XdpFrame) -> usize {
        // The ids of one device's sockets are consecutive.
        let queue = frame.socket.wrapping_sub(self.rx[0].id) as usize;
        assert!(queue < self.rx.len(), "the frame belongs to another device");
        queue
    }

    /// Moves frames between this worker and the shared rings of its queues; see [`RxSocket::recycle`].
    fn recycle(&mut self, must_wait: bool) {
        for (queue, rx) in self.rx.iter_mut().enumerate() {
            let tx = (queue == self.tx_queue).then_some(&mut self.tx);
            rx.recycle(tx, must_wait);
        }
        self.monitor.publish_home(self.frames_home());
    }
}

impl Device for AfXdp {
    type Frame = XdpFrame;

    fn receive(&mut self, into: &mut Vec<XdpFrame>, max: usize) -> usize {
        let mut count = 0;
        let queues = self.rx.len();
        for offset in 0..queues {
            let rx = &mut self.rx[(self.first_queue + offset) % queues];
            count += rx.receive(into, max - count);
        }
        self.first_queue = (self.first_queue + 1) % queues;
        count
    }

    fn allocate(&mut self) -> Option<XdpFrame> {
        self.tx.allocate()
    }

    fn bytes<'a>(&'a self, frame: &'a XdpFrame) -> &'a [u8] {
        frame.bytes(&self.rx[self.queue_of(frame)].pool.umem)
    }

    fn bytes_mut<'a>(&'a self, frame: &'a mut XdpFrame) -> &'a mut [u8] {
        frame.bytes_mut(&self.rx[self.queue_of(frame)].pool.umem)
    }

    fn room<'a>(&'a self, frame: &'a mut XdpFrame) -> &'a mut [u8] {
        frame.room(&self.rx[self.queue_of(frame)].pool.umem)
    }

    fn set_len(&self, frame: &mut XdpFrame, len: usize) {
        frame.set_len(&self.rx[self.queue_of(frame)].pool.umem, len);
    }

    fn transmit(&mut self, from: &mut Vec<XdpFrame>) -> usize {
        self.tx.transmit(from)
    }

    fn release(&mut self, frame: XdpFrame) {
        let queue = self.queue_of(&frame);
        let rx = &mut self.rx[queue];
        if rx.pool.partition.receives(frame.desc.addr()) {
            rx.release(frame);
        } else {
            self.tx.release(frame);
        }
    }

    fn invalidate_pending(&mut self) {
        self.tx.invalidate_pending();
    }

    fn maintain(&mut self) {
        self.recycle(false);
        self.tx.kick();
    }

    fn wait(&mut self, timeout: Duration) {
        // Other workers may need the frames that this worker would keep during its sleep.
        self.recycle(true);
        self.tx.kick();
        let pending = self.tx.waiting() > 0 || self.tx.is_out_of_frames();
        let timeout = if pending {
            timeout.min(TRANSMIT_POLL)
        } else {
            timeout
        };
        let sockets = self.rx.iter().map(AsFd::as_fd);
        let mut fds: Vec<PollFd<'_>> = sockets
            .chain([self.waker.as_fd()])
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        sleep_on(&mut fds, timeout);
        self.waker.clear();
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn rx_cursor(&mut self, ring: usize) -> Option<RxCursor> {
        self.rx.get_mut(ring).map(RxSocket::rx_cursor)
    }

    fn drain(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            self.tx.kick();
            self.recycle(true);
            if self.tx.in_flight() == 0 || Instant::now() >= deadline {
                return self.frames_home() == self.frames;
            }
            thread::sleep(TRANSMIT_POLL);
        }
    }
}

impl Diagnostics for AfXdp {
    fn occupancy(&mut self) -> Occupancy {
        let mut receive = Level::default();
        let mut fill = Level::default();
        for rx in &mut self.rx {
            receive += rx.level();
            fill += rx.pool.fill_level();
        }
        Occupancy {
            receive,
            fill,
            transmit: self.tx.level(),
        }
    }

    fn frames_total(&self) -> usize {
        self.frames
    }

    fn frames_home(&self) -> usize {
        let held: usize = self.rx.iter().map(RxSocket::held).sum();
        self.frames - held - self.tx.not_free()
    }
}

impl Drop for AfXdp {
    fn drop(&mut self) {
        // The other workers of the queue continue to use the receive frames, including those of unread packets.
        for rx in &mut self.rx {
            rx.discard();
        }
        self.recycle(true);
        self.monitor.close();
    }
}
