//! Commands, events, back pressure, and the life of a worker in its own thread.

use std::thread;
use std::time::{Duration, Instant};

use causeway_device::{Device, Intake, Occupancy, memory};
use causeway_gateway::{Audit, Command, Event, Gone, Worker, WorkerConfig, WorkerError, histogram};
use causeway_steering::Drop;

use crate::packet::{Packet, word};
use crate::side::{Setup, Side, both, carry, config, gateway_mac, routes, spi};

/// What even a machine busy with other things does in time.
const PATIENCE: Duration = Duration::from_secs(60);

fn packet(number: u8) -> Packet {
    Packet::udp([10, 1, 0, 2], [10, 2, 0, 2], &[number; 100])
}

fn frames(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| packet(number as u8).frame(gateway_mac(1)))
        .collect()
}

/// What the worker asked of control; which neighbours, `neighbours` looks at.
fn events(side: &Side) -> Vec<Event> {
    let events = side.control.events.try_iter();
    events
        .filter(|event| !matches!(event, Event::Resolve(_)))
        .collect()
}

#[test]
fn numbers_are_asked_for_before_they_run_out() {
    let more = Event::ReserveMore {
        tunnel: 0,
        spi: spi(1, 0),
    };
    // Numbers 1 to 100 at first: a quarter is 25.
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
    assert_eq!(events(&a), [], "not again at once");
    a.pass(Duration::from_millis(100));
    a.exchange(&frames(5));
    assert_eq!(events(&a), [more], "again after a while");
    assert_eq!(a.exchange(&frames(1)).len(), 0);
    assert_eq!(a.totals().drops[Drop::SequenceNotReserved], 1);

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
fn the_histogram_is_swapped_and_holds_every_packet_sent() {
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
    // Two in a row without fetching: the second is refused and nothing is lost.
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
fn auditable_events_are_told_at_a_limited_rate() {
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
            // Known before the burst is opened.
            audit(Drop::UnknownSpi, 0xdead_beef),
            audit(Drop::AuthenticationFailed, 0x1000),
            audit(Drop::Replayed, 0x1000),
        ]
    );
    b.exchange(&vec![foreign.clone(); 100]);
    assert_eq!(events(&b).len(), 7, "ten at once, three of them before");
    b.pass(Duration::from_secs(1));
    b.exchange(&vec![foreign; 100]);
    assert_eq!(events(&b).len(), 10);
    let totals = b.finish();
    assert_eq!(totals.drops[Drop::UnknownSpi], 201);
    assert_eq!(totals.sent, 1);
}

#[test]
fn a_full_transmit_ring_holds_back_and_keeps_the_order() {
    // Four packets come and four frames can leave in each round, but every packet makes two.
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
            "more than a burst and what one round adds"
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

/// A device whose transmit ring never takes anything, to see what a worker does then.
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
    fn room<'a>(&'a self, frame: &'a mut Self::Frame) -> &'a mut [u8] {
        self.0.room(frame)
    }
    fn set_len(&self, frame: &mut Self::Frame, len: usize) {
        self.0.set_len(frame, len);
    }
    fn transmit(&mut self, _: &mut Vec<Self::Frame>) -> usize {
        0
    }
    fn forsake(&mut self) {
        self.0.forsake();
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
    fn occupancy(&mut self) -> Occupancy {
        self.0.occupancy()
    }
    fn intake(&mut self, ring: usize) -> Option<Intake> {
        self.0.intake(ring)
    }
    fn frames_total(&self) -> usize {
        self.0.frames_total()
    }
    fn frames_home(&self) -> usize {
        self.0.frames_home()
    }
    fn drain(&mut self, timeout: Duration) -> bool {
        self.0.drain(timeout)
    }
}

#[test]
fn a_stuck_transmit_ring_stops_receiving_and_ends_by_name() {
    let (nic, mut wire) = memory::pair(256, 2048, 128);
    let setup = Setup::default();
    let (mut worker, control) = Worker::new(config(1, &setup), Stuck(nic)).expect("a worker");
    for frame in frames(60) {
        assert!(wire.inject(&frame));
    }
    let now = Instant::now();
    while worker.round(now) > 0 {}
    let totals = control.counters.totals();
    assert_eq!(totals.received, 16, "two bursts of 8, then no more");
    assert_eq!(totals.waiting, 16);
    assert!(totals.balanced());
    let within = Duration::from_millis(30);
    control.send(Command::Drain { within }).expect("a worker");
    let finished = worker.run();
    assert!(now.elapsed() < PATIENCE, "bounded");
    assert!(finished.drained);
    assert_eq!(finished.totals.drops[Drop::TransmitRingFull], 16);
    assert!(finished.totals.balanced());
}

#[test]
fn no_frame_is_named() {
    // 16 frames, 8 of them to receive into: a burst of 8 with an ICMP error for each at most.
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
    assert!(control.counters.totals().drops[Drop::NoFrame] > 0);
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
        let late = || control.counters.totals().drops[Drop::StoodStill];
        let mut dropped = 0;
        for frame in frames(100) {
            assert!(wire.inject(&frame));
            while wire.take().is_none() {
                assert!(start.elapsed() < PATIENCE, "no answer");
                // On a machine so busy that the worker got no turn in a quarter of a second.
                if late() > dropped {
                    dropped = late();
                    assert!(wire.inject(&frame));
                }
                thread::yield_now();
            }
        }
        // To a router that is not known any more: they wait, and the drain waits for them.
        let send = |command| control.send(command).expect("a worker");
        send(Command::Routes(routes(1, &[2])));
        while control.counters.totals().waiting == 0 {
            wire.inject(&packet(1).frame(gateway_mac(1)));
            thread::sleep(Duration::from_millis(1));
            assert!(start.elapsed() < PATIENCE, "nothing waits");
        }
        send(Command::Drain { within: PATIENCE });
        send(Command::Routes(routes(1, &[1])));
        let start = Instant::now();
        let finished = thread.join().expect("no panic");
        assert!(start.elapsed() < PATIENCE / 2, "well before its deadline");
        assert!(finished.drained);
        // On a machine so busy that a second passes between two lines, some were given up.
        let totals = finished.totals;
        let given_up = totals.drops[Drop::NeighbourUnresolved] + totals.drops[Drop::StoodStill];
        assert_eq!(totals.received, totals.sent + given_up);
        assert!(totals.received > 100);
        assert_eq!(finished.totals.wakeups > 0, !spin);
        assert_eq!(finished.latency.len(), finished.totals.sent);
        assert_eq!(control.send(Command::Latency(histogram())), Err(Gone));
    }
}

#[test]
fn an_orphan_ends() {
    let Side {
        worker, control, ..
    } = Side::new(1, &Setup::default());
    drop(control);
    assert!(worker.run().drained);
}

#[test]
fn what_does_not_go_together_is_refused() {
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
