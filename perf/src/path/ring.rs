//! A device in memory that copies nothing: it passes frames with their content, as DPDK's memory rings do.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use causeway_device::{Device, Diagnostics, Level, Occupancy, RxCursor, Waker};

/// Bytes of a frame, AF_XDP's default. Frames begin at page boundaries.
const FRAME_LEN: usize = 4096;
/// Offset of a packet in its frame: the headroom of XDP.
const HEADROOM: usize = 256;
const ROOM: usize = FRAME_LEN - HEADROOM;

/// The memory of the frames of all devices of a group.
#[derive(Default)]
pub struct Memory(Vec<u8>);

impl Memory {
    /// Reserves memory for each count of frames, in consecutive parts.
    pub fn parts(&mut self, counts: impl Iterator<Item = usize>) -> Parts<'_> {
        let needed = counts.sum::<usize>() * FRAME_LEN + FRAME_LEN;
        if self.0.len() < needed {
            self.0 = vec![0xee; needed];
        }
        let before = self.0.as_ptr().align_offset(FRAME_LEN);
        Parts(&mut self.0[before..])
    }
}

/// Memory that is not assigned to a device yet.
pub struct Parts<'a>(&'a mut [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, count: usize) -> impl Iterator<Item = Frame<'a>> + use<'a> {
        let (part, rest) = mem::take(&mut self.0).split_at_mut(count * FRAME_LEN);
        self.0 = rest;
        let frames = part.as_chunks_mut::<FRAME_LEN>().0.iter_mut();
        frames.filter_map(|frame| {
            let room = frame.last_chunk_mut()?;
            Some(Frame {
                room,
                len: 0,
                received: 0,
            })
        })
    }
}

/// A packet buffer in 16 bytes: a pointer, as in DPDK, and the length of the packet.
pub struct Frame<'a> {
    pub room: &'a mut [u8; ROOM],
    pub len: u32,
    /// 1 for a receive frame. An integer instead of a flag avoids padding, which would be copied byte by byte.
    received: u32,
}

impl Frame<'_> {
    pub fn packet(&self) -> &[u8] {
        &self.room[..self.len as usize]
    }
}

/// The queues shared by the harness and the device.
#[derive(Default)]
pub struct Ends<'a> {
    /// Packets to receive, in reverse order.
    pub ready: Vec<Frame<'a>>,
    /// Released receive frames, in the order of release.
    pub done: Vec<Frame<'a>>,
    /// Transmitted packets.
    pub sent: Vec<Frame<'a>>,
    /// Whether transmitted packets stay in `sent` for inspection instead of being reclaimed at once.
    pub keeps: bool,
}

/// The worker's side. Per-packet calls use private lists; the shared queues are accessed once per burst.
pub struct Ring<'a> {
    ends: Rc<RefCell<Ends<'a>>>,
    released: Vec<Frame<'a>>,
    /// Frames to allocate, the next one last. When the list runs out, the reclaimed frames replace it, which avoids
    /// copying each frame at reclaim.
    free: Vec<Frame<'a>>,
    home: Vec<Frame<'a>>,
    read: u64,
    frames: usize,
    waker: Waker,
}

impl<'a> Ring<'a> {
    /// A device with `inward` receive frames and `outward` transmit frames, and the harness's side of it.
    pub fn new(
        memory: &mut Parts<'a>,
        inward: usize,
        outward: usize,
    ) -> std::io::Result<(Ring<'a>, Rc<RefCell<Ends<'a>>>)> {
        let received = memory.take(inward).map(|frame| Frame {
            received: 1,
            ..frame
        });
        let ends = Rc::new(RefCell::new(Ends {
            done: received.collect(),
            sent: Vec::with_capacity(outward),
            ready: Vec::with_capacity(inward),
            keeps: false,
        }));
        let ring = Ring {
            ends: ends.clone(),
            released: Vec::with_capacity(inward),
            free: memory.take(outward).collect(),
            home: Vec::with_capacity(outward),
            read: 0,
            frames: inward + outward,
            waker: Waker::new()?,
        };
        Ok((ring, ends))
    }
}

impl Ring<'_> {
    #[cold]
    fn refill_free(&mut self) {
        self.home.reverse();
        self.home.append(&mut self.free);
        mem::swap(&mut self.free, &mut self.home);
    }
}

impl<'a> Device for Ring<'a> {
    type Frame = Frame<'a>;

    fn receive(&mut self, into: &mut Vec<Frame<'a>>, max: usize) -> usize {
        let mut ends = self.ends.borrow_mut();
        let rest = ends.ready.len().saturating_sub(max);
        let count = ends.ready.len() - rest;
        into.extend(ends.ready.drain(rest..).rev());
        self.read += count as u64;
        count
    }

    fn allocate(&mut self) -> Option<Frame<'a>> {
        if self.free.is_empty() {
            self.refill_free();
        }
        self.free.pop()
    }

    fn allocate_burst(&mut self, into: &mut Vec<Frame<'a>>, count: usize) {
        if self.free.len() < count {
            self.refill_free();
        }
        let missing = count.saturating_sub(into.len());
        let rest = self.free.len().saturating_sub(missing);
        into.extend(self.free.drain(rest..));
    }

    fn bytes<'f>(&'f self, frame: &'f Frame<'a>) -> &'f [u8] {
        frame.packet()
    }

    fn bytes_mut<'f>(&'f self, frame: &'f mut Frame<'a>) -> &'f mut [u8] {
        &mut frame.room[..frame.len as usize]
    }

    fn room<'f>(&'f self, frame: &'f mut Frame<'a>) -> &'f mut [u8] {
        frame.room
    }

    fn set_len(&self, frame: &mut Frame<'a>, len: usize) {
        frame.len = len as u32;
    }

    fn transmit(&mut self, from: &mut Vec<Frame<'a>>) -> usize {
        let count = from.len();
        self.ends.borrow_mut().sent.append(from);
        count
    }

    fn invalidate_pending(&mut self) {}

    fn release(&mut self, frame: Frame<'a>) {
        if frame.received == 1 {
            self.released.push(frame);
        } else {
            self.free.push(frame);
        }
    }

    fn release_burst(&mut self, burst: &mut Vec<Frame<'a>>) {
        if burst.iter().all(|frame| frame.received == 1) {
            self.released.append(burst);
        } else {
            burst.drain(..).for_each(|frame| self.release(frame));
        }
    }

    fn maintain(&mut self) {
        let mut ends = self.ends.borrow_mut();
        ends.done.append(&mut self.released);
        if !ends.keeps {
            self.home.append(&mut ends.sent);
        }
    }

    fn wait(&mut self, _timeout: Duration) {}

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn rx_cursor(&mut self, ring: usize) -> Option<RxCursor> {
        (ring == 0).then(|| RxCursor {
            read: self.read,
            unread: self.ends.borrow().ready.len(),
            unseen: 0,
        })
    }

    fn drain(&mut self, _timeout: Duration) -> bool {
        self.maintain();
        self.frames_home() == self.frames
    }
}

impl Diagnostics for Ring<'_> {
    fn occupancy(&mut self) -> Occupancy {
        let ends = self.ends.borrow();
        let level = |entries| Level {
            entries,
            room: self.frames,
        };
        Occupancy {
            receive: level(ends.ready.len()),
            fill: level(ends.done.len()),
            transmit: level(ends.sent.len()),
        }
    }

    fn frames_total(&self) -> usize {
        self.frames
    }

    fn frames_home(&self) -> usize {
        let ends = self.ends.borrow();
        self.free.len() + self.home.len() + ends.ready.len() + ends.done.len()
    }
}
