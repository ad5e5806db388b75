//! AF_XDP sockets as a [`Device`]: for each queue one UMEM, and on it one socket for each worker.
//!
//! A worker receives on all queues, since a flow's queue is the NIC's choice and its worker is
//! ours, and transmits on one, its home.

mod bind;
mod error;
mod frame;
mod monitor;
mod nic;
mod open;
mod options;
mod partition;
mod pool;
mod port;

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

use crate::{Device, Intake, Level, Occupancy, Waker, wake::sleep_on};
use port::{Port, Transmitter};

/// How long a worker sleeps while the kernel has not finished its transmissions, of which no
/// descriptor tells.
const TRANSMIT_POLL: Duration = Duration::from_millis(1);

/// One worker's sockets on the queues of a NIC. Made by [`AfXdp::open`], then moved to the
/// worker's thread.
pub struct AfXdp {
    /// By queue.
    ports: Box<[Port]>,
    /// The queue on which this worker transmits.
    home: usize,
    transmitter: Transmitter,
    /// The port that is asked first for packets in the next round.
    turn: usize,
    frames: usize,
    waker: Waker,
    monitor: Monitor,
}

impl AfXdp {
    /// Each queue and this worker's socket on it, for the XSKMAP.
    pub fn sockets(&self) -> impl Iterator<Item = (u32, BorrowedFd<'_>)> {
        self.ports.iter().map(|port| (port.queue, port.as_fd()))
    }

    /// The mode that is in force, which the kernel chose.
    pub fn copy_mode(&self) -> CopyMode {
        self.monitor.copy_mode()
    }

    /// A handle that reads this device's counters from any thread.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// The port of a frame's queue.
    fn port_of(&self, frame: &XdpFrame) -> usize {
        // The ids of one device's ports are consecutive.
        let index = frame.port.wrapping_sub(self.ports[0].id) as usize;
        assert!(index < self.ports.len(), "a frame of another device");
        index
    }

    /// Moves frames between this worker and the shared rings of its queues; see [`Port::settle`].
    fn settle(&mut self, must: bool) {
        for (queue, port) in self.ports.iter_mut().enumerate() {
            let at_home = (queue == self.home).then_some(&mut self.transmitter);
            port.settle(at_home, must);
        }
        self.monitor.publish_home(self.frames_home());
    }
}

impl Device for AfXdp {
    type Frame = XdpFrame;

    fn receive(&mut self, into: &mut Vec<XdpFrame>, max: usize) -> usize {
        let mut count = 0;
        let queues = self.ports.len();
        for offset in 0..queues {
            let port = &mut self.ports[(self.turn + offset) % queues];
            count += port.receive(into, max - count);
        }
        self.turn = (self.turn + 1) % queues;
        count
    }

    fn allocate(&mut self) -> Option<XdpFrame> {
        self.transmitter.allocate()
    }

    fn bytes<'a>(&'a self, frame: &'a XdpFrame) -> &'a [u8] {
        frame.bytes(&self.ports[self.port_of(frame)].pool.umem)
    }

    fn room<'a>(&'a self, frame: &'a mut XdpFrame) -> &'a mut [u8] {
        frame.room(&self.ports[self.port_of(frame)].pool.umem)
    }

    fn set_len(&self, frame: &mut XdpFrame, len: usize) {
        frame.set_len(&self.ports[self.port_of(frame)].pool.umem, len);
    }

    fn transmit(&mut self, from: &mut Vec<XdpFrame>) -> usize {
        self.transmitter.transmit(from)
    }

    fn release(&mut self, frame: XdpFrame) {
        let index = self.port_of(&frame);
        let port = &mut self.ports[index];
        if port.pool.partition.receives(frame.desc.addr()) {
            port.release(frame);
        } else {
            self.transmitter.release(frame);
        }
    }

    fn forsake(&mut self) {
        self.transmitter.forsake();
    }

    fn maintain(&mut self) {
        self.settle(false);
        self.transmitter.kick();
    }

    fn wait(&mut self, timeout: Duration) {
        // What this worker holds back would be missing to the others while it sleeps.
        self.settle(true);
        self.transmitter.kick();
        let pending = self.transmitter.waiting() > 0 || self.transmitter.starves();
        let timeout = if pending {
            timeout.min(TRANSMIT_POLL)
        } else {
            timeout
        };
        let ports = self.ports.iter().map(AsFd::as_fd);
        let mut fds: Vec<PollFd<'_>> = ports
            .chain([self.waker.as_fd()])
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        sleep_on(&mut fds, timeout);
        self.waker.clear();
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn occupancy(&mut self) -> Occupancy {
        let mut receive = Level::default();
        let mut fill = Level::default();
        for port in &mut self.ports {
            receive += port.unread();
            fill += port.pool.ready();
        }
        Occupancy {
            receive,
            fill,
            transmit: self.transmitter.level(),
        }
    }

    fn intake(&mut self, ring: usize) -> Option<Intake> {
        self.ports.get_mut(ring).map(Port::intake)
    }

    fn frames_total(&self) -> usize {
        self.frames
    }

    fn frames_home(&self) -> usize {
        let held: usize = self.ports.iter().map(Port::held).sum();
        self.frames - held - self.transmitter.not_free()
    }

    fn drain(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            self.transmitter.kick();
            self.settle(true);
            if self.transmitter.away() == 0 || Instant::now() >= deadline {
                return self.frames_home() == self.frames;
            }
            thread::sleep(TRANSMIT_POLL);
        }
    }
}

impl Drop for AfXdp {
    fn drop(&mut self) {
        // The frames that receive go on serving the other workers of the queue, those of unread
        // packets too.
        for port in &mut self.ports {
            port.discard();
        }
        self.settle(true);
        self.monitor.close();
    }
}
