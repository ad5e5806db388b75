//! A NIC pair in memory: each end receives the packets that the other end transmits.
//!
//! To a worker it behaves like a queue of the kernel. Packets are copied into the receiver's own frames. They are
//! dropped and counted when the receiver has no free frame. A transmitted frame becomes free again only in
//! [`Device::maintain`].

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{
    device::{Device, RxCursor},
    diagnostics::{Diagnostics, Level, Occupancy},
    wake::Waker,
};

/// A packet buffer that belongs to one [`Memory`] device.
#[derive(Debug)]
pub struct MemoryFrame {
    room: Box<[u8]>,
    len: usize,
    end: u32,
}

/// Packets that were sent to a device and dropped, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// The device's fill ring was empty.
    pub fill_ring_empty: u64,
    /// The device's receive ring was full.
    pub rx_ring_full: u64,
    /// The packet was longer than the device's frames.
    pub too_long: u64,
}

/// The state of a device that its peer accesses, too.
#[derive(Debug)]
struct Side {
    fill: Vec<MemoryFrame>,
    receive: VecDeque<MemoryFrame>,
    losses: Losses,
    sleeps: bool,
}

impl Side {
    fn deliver(&mut self, packet: &[u8], ring: usize) {
        if self.receive.len() == ring {
            self.losses.rx_ring_full += 1;
        } else if self
            .fill
            .last()
            .is_some_and(|f| f.room.len() < packet.len())
        {
            self.losses.too_long += 1;
        } else if let Some(mut frame) = self.fill.pop() {
            frame.room[..packet.len()].copy_from_slice(packet);
            frame.len = packet.len();
            self.receive.push_back(frame);
        } else {
            self.losses.fill_ring_empty += 1;
        }
    }
}

/// One end of a NIC pair in memory, made by [`pair`].
#[derive(Debug)]
pub struct Memory {
    id: u32,
    here: Arc<Mutex<Side>>,
    there: Arc<Mutex<Side>>,
    waker: Waker,
    peer: Waker,
    free: Vec<MemoryFrame>,
    sent: Vec<MemoryFrame>,
    read: u64,
    frames: usize,
    ring: usize,
}

/// Makes two connected devices. Each has `frames` frames of `frame_size` bytes, and receive and transmit rings of
/// `ring` frames. Half of a device's frames are reserved for receiving.
///
/// # Panics
/// If the process cannot open two more file descriptors.
pub fn pair(frames: usize, frame_size: usize, ring: usize) -> (Memory, Memory) {
    static NEXT_ID: AtomicU32 = AtomicU32::new(0);

    let side = || {
        Arc::new(Mutex::new(Side {
            fill: Vec::with_capacity(frames),
            receive: VecDeque::with_capacity(ring),
            losses: Losses::default(),
            sleeps: false,
        }))
    };
    let waker = || Waker::new().expect("an eventfd for a NIC in memory");
    let end = |here: &Arc<Mutex<Side>>, there: &Arc<Mutex<Side>>, waker: &Waker, peer: &Waker| {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let frame = |_| MemoryFrame {
            room: vec![0; frame_size].into_boxed_slice(),
            len: 0,
            end: id,
        };
        let mut end = Memory {
            id,
            here: here.clone(),
            there: there.clone(),
            waker: waker.clone(),
            peer: peer.clone(),
            free: (0..frames).map(frame).collect(),
            sent: Vec::with_capacity(ring),
            read: 0,
            frames,
            ring,
        };
        end.maintain();
        end
    };
    let (a, b) = (side(), side());
    let (wake_a, wake_b) = (waker(), waker());
    (end(&a, &b, &wake_a, &wake_b), end(&b, &a, &wake_b, &wake_a))
}

impl Memory {
    /// Transmits one packet, for a test that acts as the network on this end. Returns whether this end had a free frame
    /// and a free ring entry. The peer may still drop the packet and counts that in its [`Memory::losses`].
    ///
    /// # Panics
    /// If the packet is empty or longer than a frame.
    pub fn inject(&mut self, packet: &[u8]) -> bool {
        self.maintain();
        let Some(mut frame) = self.allocate() else {
            return false;
        };
        self.room(&mut frame)[..packet.len()].copy_from_slice(packet);
        self.set_len(&mut frame, packet.len());
        let mut burst = vec![frame];
        let taken = self.transmit(&mut burst);
        for frame in burst {
            self.release(frame);
        }
        taken == 1
    }

    /// Receives the oldest packet that arrived at this end, for a test that acts as the network on it.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let mut burst = Vec::with_capacity(1);
        self.receive(&mut burst, 1);
        let frame = burst.pop()?;
        let packet = self.bytes(&frame).to_vec();
        self.release(frame);
        self.maintain();
        Some(packet)
    }

    /// Counts of the packets that the peer sent to this end and that were dropped.
    pub fn losses(&self) -> Losses {
        lock(&self.here).losses
    }

    fn check(&self, frame: &MemoryFrame) {
        assert_eq!(frame.end, self.id, "the frame belongs to another device");
    }
}

/// A poisoned lock is usable: frames move one at a time, so a panic of the peer's thread leaves no frame half moved.
fn lock(side: &Mutex<Side>) -> MutexGuard<'_, Side> {
    side.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device for Memory {
    type Frame = MemoryFrame;

    fn receive(&mut self, into: &mut Vec<MemoryFrame>, max: usize) -> usize {
        let mut here = lock(&self.here);
        let count = here.receive.len().min(max);
        into.extend(here.receive.drain(..count));
        self.read += count as u64;
        count
    }

    fn allocate(&mut self) -> Option<MemoryFrame> {
        self.free.pop()
    }

    fn bytes<'a>(&'a self, frame: &'a MemoryFrame) -> &'a [u8] {
        self.check(frame);
        &frame.room[..frame.len]
    }

    fn bytes_mut<'a>(&'a self, frame: &'a mut MemoryFrame) -> &'a mut [u8] {
        self.check(frame);
        &mut frame.room[..frame.len]
    }

    fn room<'a>(&'a self, frame: &'a mut MemoryFrame) -> &'a mut [u8] {
        self.check(frame);
        &mut frame.room
    }

    fn set_len(&self, frame: &mut MemoryFrame, len: usize) {
        self.check(frame);
        assert!(
            len <= frame.room.len(),
            "the packet is longer than its frame"
        );
        frame.len = len;
    }

    fn transmit(&mut self, from: &mut Vec<MemoryFrame>) -> usize {
        let count = from.len().min(self.ring - self.sent.len());
        if count == 0 {
            return 0;
        }
        let mut there = lock(&self.there);
        for frame in from.drain(..count) {
            self.check(&frame);
            assert!(frame.len > 0, "the frame has no packet");
            there.deliver(&frame.room[..frame.len], self.ring);
            self.sent.push(frame);
        }
        if there.sleeps {
            self.peer.wake();
        }
        count
    }

    fn invalidate_pending(&mut self) {
        // The peer has every transmitted packet already.
    }

    fn release(&mut self, frame: MemoryFrame) {
        self.check(&frame);
        self.free.push(frame);
    }

    fn maintain(&mut self) {
        self.free.append(&mut self.sent);
        let mut here = lock(&self.here);
        // Unread packets count towards the receive side's share, so that an unread ring cannot use up the frames of the
        // transmit side.
        let held = here.fill.len() + here.receive.len();
        let missing = (self.frames / 2).saturating_sub(held);
        let rest = self.free.len() - missing.min(self.free.len());
        here.fill.extend(self.free.drain(rest..));
    }

    fn wait(&mut self, timeout: Duration) {
        {
            let mut here = lock(&self.here);
            if !here.receive.is_empty() {
                return;
            }
            here.sleeps = true;
        }
        self.waker.wait(timeout);
        lock(&self.here).sleeps = false;
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn rx_cursor(&mut self, ring: usize) -> Option<RxCursor> {
        (ring == 0).then(|| RxCursor {
            read: self.read,
            unread: lock(&self.here).receive.len(),
            unseen: 0,
        })
    }

    fn drain(&mut self, _timeout: Duration) -> bool {
        // Transmission completes at once. A frame that is not home is held by the worker, so waiting would not help.
        self.maintain();
        self.frames_home() == self.frames
    }
}

impl Diagnostics for Memory {
    fn occupancy(&mut self) -> Occupancy {
        let here = lock(&self.here);
        let level = |entries, room| Level { entries, room };
        Occupancy {
            receive: level(here.receive.len(), self.ring),
            fill: level(here.fill.len(), self.frames / 2),
            transmit: level(self.sent.len(), self.ring),
        }
    }

    fn frames_total(&self) -> usize {
        self.frames
    }

    fn frames_home(&self) -> usize {
        let here = lock(&self.here);
        self.free.len() + here.fill.len() + here.receive.len()
    }
}
