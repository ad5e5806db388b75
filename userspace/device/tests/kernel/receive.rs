//! Reception: each worker receives its own packets, and lost packets are counted.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use causeway_device::{
    AfXdp, Device, Diagnostics, Level, Occupancy, OpenOptions, RxCursor, XdpFrame,
};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    namespace::{NIC, with_veth},
    wire::{self, SHORTEST, Wire},
    xdp::Redirect,
};

const BURST: usize = 64;

/// Opens devices, and attaches a program that redirects packets to them.
fn open(options: OpenOptions) -> (Redirect, Vec<AfXdp>) {
    let redirect = Redirect::attach();
    let devices = AfXdp::open(options).unwrap();
    for (worker, device) in devices.iter().enumerate() {
        for (queue, socket) in device.sockets() {
            redirect.steer(queue, worker as u32, socket);
        }
    }
    (redirect, devices)
}

fn send(wire: &Wire, worker: u8, numbers: std::ops::Range<u32>) {
    let mut packet = [0; 100];
    for number in numbers {
        wire::write(&mut packet, worker, number);
        wire.send(&packet);
    }
}

/// Copies each received packet into an allocated frame and sends it back, as a gateway's worker does.
fn echo(device: &mut AfXdp, stop: &AtomicBool) {
    let mut received: Vec<XdpFrame> = Vec::with_capacity(BURST);
    let mut burst: Vec<XdpFrame> = Vec::with_capacity(BURST);
    while !stop.load(Ordering::Relaxed) {
        if device.receive(&mut received, BURST - burst.len()) == 0 && burst.is_empty() {
            device.wait(Duration::from_secs(1));
        }
        for frame in received.drain(..) {
            let mut answer = device.allocate().expect("fewer packets than frames");
            let packet = device.bytes(&frame);
            device.room(&mut answer)[..packet.len()].copy_from_slice(packet);
            let len = packet.len();
            device.set_len(&mut answer, len);
            burst.push(answer);
            device.release(frame);
        }
        device.transmit(&mut burst);
        device.maintain();
    }
}

fn echoes(queues: u32, workers: u8) {
    with_veth(queues, move || {
        let wire = Wire::open();
        let (_redirect, devices) = open(OpenOptions {
            queues,
            workers: workers.into(),
            ..OpenOptions::new(NIC)
        });
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let wakers: Vec<_> = devices.iter().map(Device::waker).collect();
            for mut device in devices {
                let stop = &stop;
                scope.spawn(move || {
                    echo(&mut device, stop);
                    assert_eq!(device.monitor().stats().lost(), 0);
                    assert!(device.drain(Duration::from_secs(60)));
                });
            }
            // The window is smaller than the 256 entries of the veth queue, so that none is dropped.
            let mut buffer = [0; 2048];
            let mut next = vec![0; workers.into()];
            for window in 0..200 {
                let numbers = window * 20..(window + 1) * 20;
                for worker in 0..workers {
                    send(&wire, worker, numbers.clone());
                }
                for _ in 0..u32::from(workers) * 20 {
                    let packet = wire.receive(&mut buffer, Duration::from_secs(60));
                    let (worker, number) = wire::read(packet.expect("an echo"));
                    assert_eq!(number, next[usize::from(worker)]);
                    next[usize::from(worker)] += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
            wakers.iter().for_each(causeway_device::Waker::wake);
        });
    });
}

#[test]
fn one_worker_echoes_every_packet() {
    echoes(1, 1);
}

#[test]
fn three_workers_on_one_queue_echo_their_own_packets() {
    echoes(1, 3);
}

#[test]
fn two_workers_on_two_queues_echo_their_own_packets() {
    echoes(2, 2);
}

#[test]
fn a_stalled_worker_loses_only_its_own_packets() {
    with_veth(1, || {
        let wire = Wire::open();
        let (_redirect, mut devices) = open(OpenOptions {
            workers: 3,
            frames_per_queue: 512,
            ring_size: 64,
            ..OpenOptions::new(NIC)
        });
        send(&wire, 0, 0..1000);
        let mut burst = Vec::with_capacity(BURST);
        for number in 0..1000 {
            send(&wire, 1, number..number + 1);
            assert_eq!(devices[1].receive(&mut burst, BURST), 1);
            let frame = burst.pop().unwrap();
            assert_eq!(wire::read(devices[1].bytes(&frame)), (1, number));
            devices[1].release(frame);
            devices[1].maintain();
        }
        assert_eq!(devices[1].monitor().stats().lost(), 0);

        let stats = devices[0].monitor().stats();
        assert_eq!(stats.rx_ring_full, 1000 - 64);
        assert_eq!(stats.rx_dropped, 0);
        assert_eq!(devices[0].receive(&mut burst, 2 * BURST), 64);
        for (frame, number) in burst.iter().zip(0..) {
            assert_eq!(wire::read(devices[0].bytes(frame)), (0, number));
        }
        // A drain fails while the worker holds frames.
        assert!(!devices[0].drain(Duration::ZERO));
        for frame in burst {
            devices[0].release(frame);
        }
        assert!(devices[0].drain(Duration::ZERO));
    });
}

#[test]
fn packets_without_a_frame_to_receive_them_are_counted() {
    with_veth(1, || {
        let wire = Wire::open();
        let (_redirect, mut devices) = open(OpenOptions {
            frames_per_queue: 256,
            ring_size: 64,
            ..OpenOptions::new(NIC)
        });
        let device = &mut devices[0];
        let mut held = Vec::with_capacity(256);
        let mut sent = 0;
        while device.monitor().stats().lost() == 0 {
            send(&wire, 0, sent..sent + 1);
            device.receive(&mut held, 1);
            sent += 1;
            assert!(sent <= 256);
        }
        let stats = device.monitor().stats();
        assert_eq!((stats.rx_dropped, stats.rx_ring_full), (1, 0));
        assert_eq!(held.len() as u32, sent - 1);
        // 64 frames transmit, so 192 receive.
        assert_eq!(held.len(), 192);

        // The transmit side still has its own frames. The receive side continues as soon as frames
        // are released.
        assert!(
            device
                .allocate()
                .map(|frame| device.release(frame))
                .is_some()
        );
        held.drain(..).for_each(|frame| device.release(frame));
        // A worker returns all released frames before it sleeps.
        device.wait(Duration::ZERO);
        send(&wire, 0, sent..sent + 1);
        assert_eq!(device.receive(&mut held, 1), 1);
        held.drain(..).for_each(|frame| device.release(frame));
        assert!(device.drain(Duration::from_secs(60)));
    });
}

#[test]
fn a_worker_that_ends_leaves_its_unread_frames_to_the_others() {
    with_veth(1, || {
        let wire = Wire::open();
        let (_redirect, mut devices) = open(OpenOptions {
            workers: 2,
            frames_per_queue: 512,
            ring_size: 64,
            ..OpenOptions::new(NIC)
        });
        let mut last = devices.pop().unwrap();
        send(&wire, 0, 0..64);
        drop(devices);
        let mut held = Vec::with_capacity(512);
        for number in 0.. {
            send(&wire, 1, number..number + 1);
            last.receive(&mut held, 1);
            if last.monitor().stats().lost() > 0 {
                break;
            }
        }
        // Each worker transmits with 64 frames, so 384 receive.
        assert_eq!(held.len(), 384);
        held.into_iter().for_each(|frame| last.release(frame));
        assert!(last.drain(Duration::from_secs(60)));
    });
}

#[test]
fn occupancy_shows_the_fill_levels_of_the_rings() {
    with_veth(1, || {
        let wire = Wire::open();
        let (_redirect, mut devices) = open(OpenOptions {
            frames_per_queue: 512,
            ring_size: 64,
            ..OpenOptions::new(NIC)
        });
        let device = &mut devices[0];
        // The worker transmits with 64 frames, so 448 receive.
        let level = |entries, room| Level { entries, room };
        let occupancy = |unread, ready| Occupancy {
            receive: level(unread, 64),
            fill: level(ready, 448),
            transmit: level(0, 64),
        };
        let wait_for = |device: &mut AfXdp, expected: Occupancy| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while device.occupancy() != expected {
                assert!(Instant::now() < deadline, "{:?}", device.occupancy());
            }
        };
        wait_for(device, occupancy(0, 448));
        send(&wire, 0, 0..10);
        wait_for(device, occupancy(10, 438));
        let mut received = Vec::with_capacity(BURST);
        assert_eq!(device.receive(&mut received, 4), 4);
        wait_for(device, occupancy(6, 438));
        let cursor = RxCursor {
            read: 4,
            unread: 6,
            // The ring's free entries, which are fewer than the packets of a driver poll.
            unseen: 58,
        };
        assert_eq!(device.rx_cursor(0), Some(cursor));
        assert_eq!(device.rx_cursor(1), None, "there is one queue");
        received.drain(..).for_each(|frame| device.release(frame));
        device.maintain();
        wait_for(device, occupancy(6, 442));
    });
}

#[derive(Clone, Debug)]
enum Operation {
    Send(u8),
    Receive(usize),
    Allocate(usize),
    Transmit,
    ReleaseReceived(usize),
    ReleaseAllocated(usize),
    Maintain,
    Wait,
}

fn operation() -> impl Strategy<Value = (usize, Operation)> {
    let operation = prop_oneof![
        (1u8..100).prop_map(Operation::Send),
        (0..BURST).prop_map(Operation::Receive),
        (0..BURST).prop_map(Operation::Allocate),
        Just(Operation::Transmit),
        (0..BURST).prop_map(Operation::ReleaseReceived),
        (0..BURST).prop_map(Operation::ReleaseAllocated),
        Just(Operation::Maintain),
        Just(Operation::Wait),
    ];
    (0usize..3, operation)
}

/// Law 1 over the kernel's rings, with three workers on one queue.
#[test]
fn after_a_drain_every_frame_is_home() {
    with_veth(1, || {
        let wire = Wire::open();
        let redirect = Redirect::attach();
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 32,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let sequence = prop::collection::vec(operation(), 0..300);
        runner
            .run(&sequence, |sequence| {
                run(&wire, &redirect, &sequence);
                Ok(())
            })
            .unwrap();
    });
}

fn run(wire: &Wire, redirect: &Redirect, sequence: &[(usize, Operation)]) {
    let options = OpenOptions {
        workers: 3,
        frames_per_queue: 512,
        ring_size: 64,
        ..OpenOptions::new(NIC)
    };
    let mut devices = AfXdp::open(options).unwrap();
    let mut received: [Vec<XdpFrame>; 3] = Default::default();
    let mut allocated: [Vec<XdpFrame>; 3] = Default::default();
    let (mut sent, mut arrived) = ([0; 3], [0; 3]);
    for (worker, device) in devices.iter().enumerate() {
        for (queue, socket) in device.sockets() {
            redirect.steer(queue, worker as u32, socket);
        }
    }
    for (worker, operation) in sequence {
        let worker = *worker;
        let device = &mut devices[worker];
        let (received, allocated) = (&mut received[worker], &mut allocated[worker]);
        match *operation {
            Operation::Send(count) => {
                send(wire, worker as u8, 0..count.into());
                sent[worker] += u64::from(count);
            }
            Operation::Receive(max) => arrived[worker] += device.receive(received, max) as u64,
            Operation::Allocate(count) => {
                for _ in 0..count {
                    let Some(mut frame) = device.allocate() else {
                        break;
                    };
                    wire::write(&mut device.room(&mut frame)[..SHORTEST], 9, 0);
                    device.set_len(&mut frame, SHORTEST);
                    allocated.push(frame);
                }
            }
            Operation::Transmit => {
                device.transmit(allocated);
            }
            Operation::ReleaseReceived(count) => {
                let count = count.min(received.len());
                received.drain(..count).for_each(|f| device.release(f));
            }
            Operation::ReleaseAllocated(count) => {
                let count = count.min(allocated.len());
                allocated.drain(..count).for_each(|f| device.release(f));
            }
            Operation::Maintain => device.maintain(),
            Operation::Wait => device.wait(Duration::ZERO),
        }
    }
    for (worker, device) in devices.iter_mut().enumerate() {
        let (received, allocated) = (&mut received[worker], &mut allocated[worker]);
        let deadline = Instant::now() + Duration::from_secs(60);
        // Law 2: each packet redirected to the socket arrives, or the kernel counts it as lost. The last packets may still
        // be in the veth queue.
        while sent[worker] != arrived[worker] + device.monitor().stats().lost() {
            assert!(
                Instant::now() < deadline,
                "{sent:?} sent, {arrived:?} arrived"
            );
            arrived[worker] += device.receive(received, usize::MAX) as u64;
        }
        let held = received.drain(..).chain(allocated.drain(..));
        held.for_each(|frame| device.release(frame));
        assert!(device.drain(Duration::from_secs(60)), "worker {worker}");
        assert_eq!(device.frames_home(), device.frames_total());
    }
}
