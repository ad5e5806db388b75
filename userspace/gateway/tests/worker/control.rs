//! Commands, events, back pressure, and a worker in its own thread.

use std::thread;
use std::time::{Duration, Instant};

use causeway_device::{Device, Diagnostics, Occupancy, RxCursor, memory};
use causeway_gateway::{Audit, Command, Event, Gone, Worker, WorkerConfig, WorkerError, histogram};
use causeway_steering::DropReason;

use crate::packet::{Packet, word};
use crate::side::{Setup, Side, both, carry, config, gateway_mac, routes, spi};

/// A timeout that is long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

fn packet(number: u8) -> Packet {
    Packet::udp([10, 1, 0, 2], [10, 2, 0, 2], &[number; 100])
}

fn frames(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| packet(number as u8).frame(gateway_mac(1)))
        .collect()
}

/// The events for control, except neighbour lookups, which the module `neighbours` tests.
fn events(side: &Side) -> Vec<Event> {
    let events = side.control.events.try_iter();
    events
        .filter(|event| !matches!(event, Event::Resolve(_)))
        .collect()
}

#[test]
fn sequence_numbers_are_requested_before_they_run_out() {
    let more = Event::ReserveMore {
        tunnel: 0,
        spi: spi(1, 0),
    };
    // Numbers 1 to 100 are reserved. The worker requests more when a quarter, that is 25, is left.
    let mut a = Side::new(
        1,
        &Setup {
            reserved: 101,
            ..Setup::default()
        },
    );
    a.exchange(&frames(74));
    assert_eq!(events(&a), []);
    a.exchange(&frames(1));
    assert_eq!(events(&a), [more]);
    a.exchange(&frames(20));
    assert_eq!(events(&a), [], "no repeated request at once");
    a.pass(Duration::from_millis(100));
    a.exchange(&frames(5));
    assert_eq!(events(&a), [more], "repeated after a while");
    assert_eq!(a.exchange(&frames(1)).len(), 0);
    assert_eq!(a.totals().drops[DropReason::SequenceNotReserved], 1);

    a.control
        .send(Command::ReserveUntil {
            tunnel: 0,
            spi: spi(1, 0),
            until: 201,
        })
        .expect("a worker");
    assert_eq!(a.exchange(&frames(74)).len(), 74);
    assert_eq!(events(&a), []);
    a.exchange(&frames(1));
    assert_eq!(events(&a), [more]);
    assert_eq!(a.control.counters.sequences_remaining(), [u64::MAX - 176]);
    a.finish();
}

#[test]
fn the_latency_histogram_is_swapped_without_losing_a_packet() {
    let mut a = Side::new(1, &Setup::default());
    a.exchange(&frames(30));
    let send = |a: &Side| {
        a.control
            .send(Command::Latency(histogram()))
            .expect("a worker")
    };
    send(&a);
    a.work();
    assert_eq!(a.control.latency.try_recv().map(|h| h.len()), Ok(30));
    // Control swaps twice without fetching: the second swap is refused, and no packet is lost.
    a.exchange(&frames(5));
    send(&a);
    a.exchange(&frames(2));
    send(&a);
    a.exchange(&frames(1));
    assert_eq!(a.control.latency.try_recv().map(|h| h.len()), Ok(5));
    send(&a);
    a.work();
    assert_eq!(a.control.latency.try_recv().map(|h| h.len()), Ok(3));
}

/// Standard: unknown-spi, bad-icv, audit-log
#[test]
fn auditable_events_are_rate_limited() {
    let (mut a, mut b) = both(&Setup::default());
    let sealed = carry(a.exchange(&frames(1)), 1);
    let mut forged = sealed[0].clone();
    *forged.last_mut().expect("an ICV") ^= 1;
    let mut foreign = sealed[0].clone();
    foreign[14 + 28..14 + 32].copy_from_slice(&0xdead_beefu32.to_be_bytes());
    let audit = |reason, spi| {
        Event::Audit(Audit {
            reason,
            spi,
            sequence: 1,
            source: [10, 1, 0, 101].into(),
            destination: [10, 2, 0, 101].into(),
        })
    };
    b.exchange(&[
        forged,
        sealed[0].clone(),
        sealed[0].clone(),
        foreign.clone(),
    ]);
    assert_eq!(
        events(&b),
        [
            // Detected before the burst is opened.
            audit(DropReason::UnknownSpi, 0xdead_beef),
            audit(DropReason::AuthenticationFailed, 0x1000),
            audit(DropReason::Replayed, 0x1000),
        ]
    );
    b.exchange(&vec![foreign.clone(); 100]);
    assert_eq!(
        events(&b).len(),
        7,
        "a burst of ten events, three of them earlier"
    );
    b.pass(Duration::from_secs(1));
    b.exchange(&vec![foreign; 100]);
    assert_eq!(events(&b).len(), 10);
    let totals = b.finish();
    assert_eq!(totals.drops[DropReason::UnknownSpi], 201);
    assert_eq!(totals.sent, 1);
}

#[test]
fn a_full_transmit_ring_stops_reception_and_keeps_the_order() {
    // In each round four packets arrive and four frames can be sent, but each packet becomes two frames.
    let setup = Setup {
        burst: 16,
        ring: 4,
        frames: 256,
        ..Setup::default()
    };
    let mut a = Side::new(1, &setup);
    let mut b = Side::new(2, &Setup::default());
    let mut sealed = Vec::new();
    let mut sent = 0u64;
    let mut held_back = 0;
    while a.totals().sent < 100 {
        if a.totals().received == sent && sent < 100 {
            for _ in 0..4 {
                let big = Packet {
                    identification: sent as u16,
                    ..Packet::udp([10, 1, 0, 2], [10, 2, 0, 2], &[0; 1472])
                };
                assert!(a.wire.inject(&big.frame(gateway_mac(1))));
                sent += 1;
            }
        }
        a.worker.round(a.now);
        let totals = a.totals();
        assert!(totals.balanced());
        assert!(
            totals.waiting <= 16,
            "more than a burst and the packets of one round"
        );
        held_back += usize::from(totals.received < sent);
        sealed.extend(std::iter::from_fn(|| a.wire.take()));
    }
    sealed.extend(a.work());
    assert!(held_back > 10, "the worker stopped receiving");
    let opened: Vec<_> = carry(sealed, 1)
        .into_iter()
        .flat_map(|frame| b.exchange(&[frame]))
        .collect();
    let places: Vec<(u16, u16)> = opened
        .iter()
        .map(|frame| (word(&frame[14..], 4), word(&frame[14..], 6) & 0x1fff))
        .collect();
    assert_eq!(places.len(), 200);
    assert!(places.is_sorted(), "{places:?}");
    a.finish();
}

/// A device whose transmit ring is always full.
pub struct Stuck(pub causeway_device::Memory);

impl Device for Stuck {
    type Frame = causeway_device::MemoryFrame;
    fn receive(&mut self, into: &mut Vec<Self::Frame>, max: usize) -> usize {
        self.0.receive(into, max)
    }
    fn allocate(&mut self) -> Option<Self::Frame> {
        self.0.allocate()
    }
    fn bytes<'a>(&'a self, frame: &'a Self::Frame) -> &'a [u8] {
        self.0.bytes(frame)
    }
    fn bytes_mut<'a>(&'a self, frame: &'a mut Self::Frame) -> &'a mut [u8] {
        self.0.bytes_mut(frame)
    }
    fn room<'a>(&'a self, frame: &'a mut Self::Frame) -> &'a mut [u8] {
        self.0.room(frame)
    }
    fn set_len(&self, frame: &mut Self::Frame, len: usize) {
        self.0.set_len(frame, len);
    }
    fn transmit(&mut self, _: &mut Vec<Self::Frame>) -> usize {
        0
    }
    fn invalidate_pending(&mut self) {
        self.0.invalidate_pending();
    }
    fn release(&mut self, frame: Self::Frame) {
        self.0.release(frame);
    }
    fn maintain(&mut self) {
        self.0.maintain();
    }
    fn wait(&mut self, timeout: Duration) {
        self.0.wait(timeout);
    }
    fn waker(&self) -> causeway_device::Waker {
        self.0.waker()
    }
    fn rx_cursor(&mut self, ring: usize) -> Option<RxCursor> {
        self.0.rx_cursor(ring)
    }
    fn drain(&mut self, timeout: Duration) -> bool {
        self.0.drain(timeout)
    }
}

impl Diagnostics for Stuck {
    fn occupancy(&mut self) -> Occupancy {
        self.0.occupancy()
    }

    fn frames_total(&self) -> usize {
        self.0.frames_total()
    }

    fn frames_home(&self) -> usize {
        self.0.frames_home()
    }
}

#[test]
fn a_stuck_transmit_ring_stops_reception_and_a_drain_counts_its_packets() {
    let (nic, mut wire) = memory::pair(256, 2048, 128);
    let setup = Setup::default();
    let (mut worker, control) = Worker::new(config(1, &setup), Stuck(nic)).expect("a worker");
    for frame in frames(60) {
        assert!(wire.inject(&frame));
    }
    let now = Instant::now();
    while worker.round(now) > 0 {}
    let totals = control.counters.totals();
    assert_eq!(totals.received, 16, "two bursts of 8, then reception stops");
    assert_eq!(totals.waiting, 16);
    assert!(totals.balanced());
    let within = Duration::from_millis(30);
    control.send(Command::Drain { within }).expect("a worker");
    let finished = worker.run();
    assert!(now.elapsed() < TIMEOUT, "the drain is bounded");
    assert!(finished.drained);
    assert_eq!(finished.totals.drops[DropReason::TransmitRingFull], 16);
    assert!(finished.totals.balanced());
}

#[test]
fn packets_without_a_free_frame_are_counted() {
    // 16 frames, 8 of them for receiving: at most a burst of 8 packets and one ICMP error for each.
    let setup = Setup {
        burst: 32,
        ring: 64,
        frames: 16,
        ..Setup::default()
    };
    let (nic, mut wire) = memory::pair(setup.frames, 2048, setup.ring);
    let (mut worker, control) = Worker::new(config(1, &setup), Stuck(nic)).expect("a worker");
    for _ in 0..4 {
        for frame in frames(6) {
            wire.inject(&frame);
        }
        worker.round(Instant::now());
        assert!(control.counters.totals().balanced());
    }
    assert!(control.counters.totals().drops[DropReason::NoFrame] > 0);
    control
        .send(Command::Drain {
            within: Duration::ZERO,
        })
        .expect("a worker");
    assert!(worker.run().drained);
}

#[test]
fn a_worker_in_its_thread_sleeps_wakes_and_drains() {
    for spin in [false, true] {
        let Side {
            worker,
            control,
            mut wire,
            ..
        } = Side::new(
            1,
            &Setup {
                spin,
                ..Setup::default()
            },
        );
        let thread = thread::spawn(move || worker.run());
        thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        let late = || control.counters.totals().drops[DropReason::WorkerStalled];
        let mut dropped = 0;
        for frame in frames(100) {
            assert!(wire.inject(&frame));
            while wire.take().is_none() {
                assert!(start.elapsed() < TIMEOUT, "the packet was not sent");
                // On a busy machine the worker may not be scheduled for a quarter of a second.
                if late() > dropped {
                    dropped = late();
                    assert!(wire.inject(&frame));
                }
                thread::yield_now();
            }
        }
        // The router becomes unknown: packets wait for it, and the drain waits for them.
        let send = |command| control.send(command).expect("a worker");
        send(Command::Routes(routes(1, &[2])));
        while control.counters.totals().waiting == 0 {
            wire.inject(&packet(1).frame(gateway_mac(1)));
            thread::sleep(Duration::from_millis(1));
            assert!(start.elapsed() < TIMEOUT, "no packet waits");
        }
        send(Command::Drain { within: TIMEOUT });
        send(Command::Routes(routes(1, &[1])));
        let start = Instant::now();
        let finished = thread.join().expect("no panic");
        assert!(start.elapsed() < TIMEOUT / 2, "well before its deadline");
        assert!(finished.drained);
        // On a busy machine a second may pass between two lines, and then some packets are dropped.
        let totals = finished.totals;
        let dropped =
            totals.drops[DropReason::NeighbourUnresolved] + totals.drops[DropReason::WorkerStalled];
        assert_eq!(totals.received, totals.sent + dropped);
        assert!(totals.received > 100);
        assert_eq!(finished.totals.wakeups > 0, !spin);
        assert_eq!(finished.latency.len(), finished.totals.sent);
        assert_eq!(control.send(Command::Latency(histogram())), Err(Gone));
    }
}

#[test]
fn a_worker_ends_when_control_is_dropped() {
    let Side {
        worker, control, ..
    } = Side::new(1, &Setup::default());
    drop(control);
    assert!(worker.run().drained);
}

#[test]
fn invalid_configurations_are_refused() {
    let refused = |change: &dyn Fn(&mut WorkerConfig), frame_size| {
        let mut config = config(1, &Setup::default());
        change(&mut config);
        let (nic, _wire) = memory::pair(16, frame_size, 16);
        Worker::new(config, nic).err()
    };
    assert_eq!(refused(&|_| {}, 1519), None);
    assert_eq!(
        refused(&|_| {}, 1518),
        Some(WorkerError::FrameTooSmall {
            room: 1518,
            needed: 1519,
            mtu: 1500
        })
    );
    assert_eq!(
        refused(&|c| c.burst = 0, 2048),
        Some(WorkerError::EmptyBurst)
    );
    assert_eq!(
        refused(&|c| c.mtu = 100, 2048),
        Some(WorkerError::MtuTooSmall {
            tunnel: 0,
            max_inner: 38,
            least: 1280
        })
    );
    let again = |c: &mut WorkerConfig| c.tunnels.extend(config(1, &Setup::default()).tunnels);
    assert_eq!(
        refused(&again, 2048),
        Some(WorkerError::DuplicateSpi { spi: 0x2000 })
    );
}
