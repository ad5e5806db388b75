//! Reads a device's counters from any thread while a worker uses the device.
#![allow(unsafe_code)]

use std::{
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::net::{sockopt, xdp::XdpStatistics};

use super::options::CopyMode;

/// The kernel's counters for a device's sockets (`XDP_STATISTICS`), summed over its queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets dropped because the fill ring was empty or because they did not fit into a frame.
    pub rx_dropped: u64,
    /// Packets dropped because the receive ring was full.
    pub rx_ring_full: u64,
    /// Invalid fill ring entries. Does not count packets.
    pub rx_invalid_descs: u64,
    /// How often the kernel found the fill ring empty. All workers of a queue share its fill ring and report the same
    /// number. `rx_dropped` counts the packets that were dropped because of it.
    pub rx_fill_ring_empty_descs: u64,
    /// Invalid transmit descriptors, which the kernel refused.
    pub tx_invalid_descs: u64,
    /// How often the kernel found the transmit ring empty. Does not count packets.
    pub tx_ring_empty_descs: u64,
}

impl Stats {
    /// Packets that were redirected to these sockets and did not reach the worker.
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

/// Reads a device's counters from any thread. It keeps no socket open: after the device is closed, it returns the final
/// counts.
#[derive(Clone, Debug)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
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
        /// One of the receiving sockets, or a separate socket.
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
        Self(Arc::new(Shared {
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

    /// The copy mode that the kernel chose.
    pub fn copy_mode(&self) -> CopyMode {
        self.0.copy_mode
    }

    /// Whether all frames are on huge pages.
    pub fn huge_pages(&self) -> bool {
        self.0.huge_pages
    }

    /// The kernel's counters at this moment, or the final ones after the device was closed.
    pub fn stats(&self) -> Stats {
        self.0.stats(&self.0.lock())
    }

    /// The number of frames of the device; see [`Diagnostics::frames_total`](crate::Diagnostics::frames_total).
    pub fn frames_total(&self) -> usize {
        self.0.frames_total
    }

    /// The number of frames that were home at the end of the worker's last round; see
    /// [`Diagnostics::frames_home`](crate::Diagnostics::frames_home).
    pub fn frames_home(&self) -> usize {
        self.0.frames_home.load(Ordering::Relaxed)
    }

    pub(super) fn publish_home(&self, frames: usize) {
        self.0.frames_home.store(frames, Ordering::Relaxed);
    }

    /// Stores the final counts. The device calls this before it closes its sockets.
    pub(super) fn close(&self) {
        let mut sockets = self.0.lock();
        *sockets = Sockets::Closed(self.0.stats(&sockets));
    }
}

impl Shared {
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

/// The kernel's counters of a socket. The device keeps the socket open until it has called [`Monitor::close`]. The
/// counters remain readable even when the NIC is gone.
fn counted(socket: RawFd) -> Option<XdpStatistics> {
    // SAFETY: `Monitor::close` waits for the lock that the caller holds.
    sockopt::xdp_statistics(unsafe { BorrowedFd::borrow_raw(socket) }).ok()
}
