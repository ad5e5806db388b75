//! What the control side may know of a device that works in another thread.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::net::{sockopt, xdp::XdpStatistics};

use super::CopyMode;
#[cfg(doc)]
use crate::Device;

/// What the kernel counted on a device's sockets (`XDP_STATISTICS`), summed over its queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets lost because the fill ring was empty, or too long for a frame.
    pub rx_dropped: u64,
    /// Packets lost because the worker had not read its receive ring.
    pub rx_ring_full: u64,
    /// Fill ring entries that the kernel refused; not packets.
    pub rx_invalid_descs: u64,
    /// How often the kernel found the fill ring empty. A queue's fill ring serves all its
    /// workers and each of them tells the same number; the packets lost by it stand in
    /// `rx_dropped`.
    pub rx_fill_ring_empty_descs: u64,
    /// Transmissions that the kernel refused.
    pub tx_invalid_descs: u64,
    /// How often the kernel looked for a packet to send and found none; not packets.
    pub tx_ring_empty_descs: u64,
}

impl Stats {
    /// Packets that were meant for these sockets and did not reach their worker.
    pub fn lost(&self) -> u64 {
        self.rx_dropped + self.rx_ring_full
    }

    fn add_received(&mut self, counted: &XdpStatistics) {
        self.rx_dropped += counted.rx_dropped;
        self.rx_ring_full += counted.rx_ring_full.unwrap_or(0);
        self.rx_invalid_descs += counted.rx_invalid_descs;
        self.rx_fill_ring_empty_descs += counted.rx_fill_ring_empty_descs.unwrap_or(0);
    }

    fn add_transmitted(&mut self, counted: &XdpStatistics) {
        self.tx_invalid_descs += counted.tx_invalid_descs;
        self.tx_ring_empty_descs += counted.tx_ring_empty_descs.unwrap_or(0);
    }
}

/// Reads a device's counters from any thread. It keeps no socket open: when the device is gone,
/// it tells the last counts.
#[derive(Clone, Debug)]
pub struct Monitor(Arc<Board>);

#[derive(Debug)]
struct Board {
    copy_mode: CopyMode,
    huge_pages: bool,
    frames_total: usize,
    frames_home: AtomicUsize,
    sockets: Mutex<Sockets>,
}

#[derive(Debug)]
enum Sockets {
    Open {
        receiving: Vec<RawFd>,
        /// One of them, or a socket of its own.
        transmitting: RawFd,
    },
    Closed(Stats),
}

impl Monitor {
    pub(super) fn new<'a>(
        copy_mode: CopyMode,
        huge_pages: bool,
        frames_total: usize,
        receiving: impl Iterator<Item = BorrowedFd<'a>>,
        transmitting: BorrowedFd<'a>,
    ) -> Self {
        Self(Arc::new(Board {
            copy_mode,
            huge_pages,
            frames_total,
            frames_home: AtomicUsize::new(frames_total),
            sockets: Mutex::new(Sockets::Open {
                receiving: receiving.map(|socket| socket.as_raw_fd()).collect(),
                transmitting: transmitting.as_raw_fd(),
            }),
        }))
    }

    /// The mode that is in force, which the kernel chose.
    pub fn copy_mode(&self) -> CopyMode {
        self.0.copy_mode
    }

    /// Whether all frames stand on huge pages.
    pub fn huge_pages(&self) -> bool {
        self.0.huge_pages
    }

    /// The kernel's counters.
    pub fn stats(&self) -> Stats {
        self.0.stats(&self.0.lock())
    }

    /// How many frames the device works with; see [`Device::frames_total`].
    pub fn frames_total(&self) -> usize {
        self.0.frames_total
    }

    /// How many of them were home at the end of the device's last round.
    pub fn frames_home(&self) -> usize {
        self.0.frames_home.load(Ordering::Relaxed)
    }

    pub(super) fn publish_home(&self, frames: usize) {
        self.0.frames_home.store(frames, Ordering::Relaxed);
    }

    /// Keeps the last counts. The device calls this before it closes its sockets.
    pub(super) fn close(&self) {
        let mut sockets = self.0.lock();
        *sockets = Sockets::Closed(self.0.stats(&sockets));
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stats(&self, sockets: &Sockets) -> Stats {
        match sockets {
            Sockets::Closed(stats) => *stats,
            Sockets::Open {
                receiving,
                transmitting,
            } => {
                let mut stats = Stats::default();
                for socket in receiving {
                    counted(*socket).inspect(|counted| stats.add_received(counted));
                }
                counted(*transmitting).inspect(|counted| stats.add_transmitted(counted));
                stats
            }
        }
    }
}

/// The kernel's counts of a socket that its device keeps open until it has called [`Monitor::close`]. A socket
/// always answers; its NIC may be gone, but then the last counts are right.
fn counted(socket: RawFd) -> Option<XdpStatistics> {
    // SAFETY: `Monitor::close` waits for the lock that the caller holds.
    sockopt::xdp_statistics(unsafe { BorrowedFd::borrow_raw(socket) }).ok()
}
