//! Law 1 over the NIC pair in memory: after a drain every frame is home, regardless of the operations before it.

use std::{collections::VecDeque, thread, time::Duration};

use causeway_device::{Device, Diagnostics, Memory, MemoryFrame, RxWatermark, memory};
use proptest::prelude::*;

const FRAMES: usize = 24;
const RING: usize = 8;

#[derive(Clone, Debug)]
enum Operation {
    Receive(usize),
    Allocate,
    Write(u8),
    Transmit(usize),
    Release,
    Maintain,
    Inject(usize),
    Take,
}

fn operation() -> impl Strategy<Value = (bool, Operation)> {
    let operation = prop_oneof![
        (0..2 * RING).prop_map(Operation::Receive),
        Just(Operation::Allocate),
        any::<u8>().prop_map(Operation::Write),
        (0..2 * RING).prop_map(Operation::Transmit),
        Just(Operation::Release),
        Just(Operation::Maintain),
        (1usize..=64).prop_map(Operation::Inject),
        Just(Operation::Take),
    ];
    (any::<bool>(), operation)
}

/// One end, the frames that its worker holds, and counts of the packets sent and received.
struct End {
    device: Memory,
    received: VecDeque<MemoryFrame>,
    allocated: VecDeque<MemoryFrame>,
    transmitted: u64,
    arrived: u64,
}

impl End {
    fn new(device: Memory) -> Self {
        Self {
            device,
            received: VecDeque::new(),
            allocated: VecDeque::new(),
            transmitted: 0,
            arrived: 0,
        }
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Receive(max) => {
                let mut burst = Vec::with_capacity(max);
                let count = self.device.receive(&mut burst, max);
                assert_eq!(count, burst.len());
                assert!(count <= max);
                self.arrived += count as u64;
                self.received.extend(burst);
            }
            Operation::Allocate => {
                if let Some(mut frame) = self.device.allocate() {
                    self.device.set_len(&mut frame, 1);
                    self.allocated.push_back(frame);
                }
            }
            Operation::Write(byte) => {
                if let Some(frame) = self.allocated.back_mut() {
                    self.device.room(frame).fill(byte);
                    self.device.set_len(frame, 1 + usize::from(byte) % 64);
                    let bytes = self.device.bytes(frame);
                    assert!(bytes.iter().all(|b| *b == byte));
                }
            }
            Operation::Transmit(max) => {
                let count = self.allocated.len().min(max);
                let mut burst: Vec<_> = self.allocated.drain(..count).collect();
                self.transmitted += self.device.transmit(&mut burst) as u64;
                for frame in burst.into_iter().rev() {
                    self.allocated.push_front(frame);
                }
            }
            Operation::Release => {
                let received = self.received.pop_front();
                if let Some(frame) = received.or_else(|| self.allocated.pop_front()) {
                    self.device.release(frame);
                }
            }
            Operation::Maintain => self.device.maintain(),
            Operation::Inject(len) => {
                self.transmitted += u64::from(self.device.inject(&[7; 64][..len]));
            }
            Operation::Take => self.arrived += u64::from(self.device.take().is_some()),
        }
    }

    fn finish(&mut self) {
        for frame in self.received.drain(..).chain(self.allocated.drain(..)) {
            self.device.release(frame);
        }
        let mut burst = Vec::with_capacity(RING);
        self.arrived += self.device.receive(&mut burst, RING) as u64;
        for frame in burst {
            self.device.release(frame);
        }
    }
}

proptest! {
    #[test]
    fn after_a_drain_every_frame_is_home(
        operations in prop::collection::vec(operation(), 0..400),
    ) {
        let (a, b) = memory::pair(FRAMES, 64, RING);
        let mut ends = [End::new(a), End::new(b)];
        for (second, operation) in &operations {
            let end = &mut ends[usize::from(*second)];
            end.apply(operation);
            let held = end.received.len() + end.allocated.len();
            prop_assert!(end.device.frames_home() + held <= FRAMES);
        }
        for end in &mut ends {
            end.finish();
            prop_assert!(end.device.drain(Duration::ZERO));
            prop_assert_eq!(end.device.frames_home(), FRAMES);
            prop_assert_eq!(end.device.frames_total(), FRAMES);
        }
        // Law 2 on the wire: each transmitted packet arrived, or is counted as lost by a reason.
        for (from, to) in [(0, 1), (1, 0)] {
            let losses = ends[to].device.losses();
            let lost = losses.fill_ring_empty + losses.rx_ring_full + losses.too_long;
            prop_assert_eq!(ends[from].transmitted, ends[to].arrived + lost);
        }
    }

    #[test]
    fn packets_arrive_whole_and_in_order(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..100),
    ) {
        let (mut a, mut b) = memory::pair(FRAMES, 64, RING);
        for burst in packets.chunks(RING) {
            for packet in burst {
                prop_assert!(a.inject(packet));
            }
            for packet in burst {
                let arrived = b.take();
                prop_assert_eq!(arrived.as_ref(), Some(packet));
            }
            prop_assert_eq!(b.take(), None);
        }
    }
}

#[test]
fn a_drain_fails_while_the_worker_holds_a_frame() {
    let (mut a, _b) = memory::pair(FRAMES, 64, RING);
    let frame = a.allocate().unwrap();
    assert!(!a.drain(Duration::ZERO));
    assert_eq!(a.frames_home(), FRAMES - 1);
    a.release(frame);
    assert!(a.drain(Duration::ZERO));
}

#[test]
fn packets_for_a_full_receive_ring_are_dropped_and_counted() {
    let (mut a, b) = memory::pair(FRAMES, 64, RING);
    for _ in 0..RING + 3 {
        assert!(a.inject(b"packet"));
    }
    assert_eq!(b.losses().rx_ring_full, 3);
}

#[test]
fn unread_packets_do_not_use_up_transmit_frames() {
    let (mut a, mut b) = memory::pair(FRAMES, 64, RING);
    for _ in 0..RING {
        assert!(a.inject(b"packet"));
    }
    b.maintain();
    let allocated: Vec<_> = std::iter::from_fn(|| b.allocate()).collect();
    assert_eq!(allocated.len(), FRAMES / 2);
}

#[test]
#[should_panic(expected = "the frame belongs to another device")]
fn a_frame_of_the_peer_is_refused() {
    let (mut a, mut b) = memory::pair(FRAMES, 64, RING);
    let frame = b.allocate().unwrap();
    a.release(frame);
}

#[test]
fn a_sleeping_worker_is_woken_by_a_packet_and_by_its_waker() {
    let (mut a, mut b) = memory::pair(FRAMES, 64, RING);
    let long = Duration::from_secs(60);
    let waker = b.waker();
    let worker = thread::spawn(move || {
        b.wait(long);
        while b.take().is_none() {
            b.wait(long);
        }
        b.wait(long);
        b
    });
    assert!(a.inject(b"packet"));
    thread::sleep(Duration::from_millis(20));
    waker.wake();
    assert!(worker.join().unwrap().drain(Duration::ZERO));
}

#[test]
fn the_watermark_is_read_while_later_packets_are_unread() {
    let (mut device, mut wire) = memory::pair(FRAMES, 64, RING);
    let read = |device: &mut Memory| {
        let mut burst = Vec::with_capacity(1);
        assert_eq!(device.receive(&mut burst, 1), 1);
        burst.into_iter().for_each(|frame| device.release(frame));
        device.maintain();
    };
    for _ in 0..3 {
        assert!(wire.inject(&[7]));
    }
    read(&mut device);
    let mut watermark = RxWatermark::at(&mut device);
    assert!(!watermark.is_read(&mut device), "two packets are unread");
    for left in [1, 0] {
        assert!(wire.inject(&[7]));
        read(&mut device);
        assert_eq!(watermark.is_read(&mut device), left == 0);
    }
    assert_eq!(device.occupancy().receive.entries, 2, "the later packets");
}
