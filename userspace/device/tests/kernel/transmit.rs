//! Transmission: no packet is lost or reordered, and all frames come home.

use std::{
    thread,
    time::{Duration, Instant},
};

use causeway_device::{AfXdp, CopyMode, Device, Diagnostics, OpenOptions, XdpFrame};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{
    namespace::{NIC, PEER, ip, with_veth},
    wire::{self, SHORTEST, Wire},
};

const BURST: usize = 64;

/// Sends numbered packets of many lengths as a worker does: in bursts, with housekeeping once per round.
fn send_all(device: &mut AfXdp, worker: u8, count: u32) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut burst: Vec<XdpFrame> = Vec::with_capacity(BURST);
    let mut number = 0;
    while number < count || !burst.is_empty() {
        while number < count && burst.len() < BURST {
            let Some(mut frame) = device.allocate() else {
                break;
            };
            let len = SHORTEST + (number as usize * 7) % 1400;
            wire::write(&mut device.room(&mut frame)[..len], worker, number);
            device.set_len(&mut frame, len);
            assert_eq!(device.bytes(&frame).len(), len);
            burst.push(frame);
            number += 1;
        }
        if device.transmit(&mut burst) == 0 {
            device.wait(Duration::from_millis(5));
        }
        device.maintain();
        assert!(
            Instant::now() < deadline,
            "worker {worker} is stuck at packet {number}"
        );
    }
}

/// Sends from `workers` threads, and checks number and order of the packets at the other end.
fn send_from_all_workers(queues: u32, workers: usize, frames_per_queue: u32, count: u32) {
    with_veth(queues, move || {
        let wire = Wire::open();
        let devices = AfXdp::open(OpenOptions {
            queues,
            workers,
            frames_per_queue,
            ..OpenOptions::new(NIC)
        })
        .unwrap();
        thread::scope(|scope| {
            for (worker, mut device) in devices.into_iter().enumerate() {
                scope.spawn(move || {
                    // The veth backlog is per core: packets of a thread that changes its core may be reordered.
                    let mut cores = CpuSet::new();
                    cores.set(worker % thread::available_parallelism().unwrap());
                    sched_setaffinity(None, &cores).unwrap();

                    let monitor = device.monitor();
                    assert_eq!(device.copy_mode(), CopyMode::Copy);
                    send_all(&mut device, worker as u8, count);
                    assert!(device.drain(Duration::from_secs(60)), "worker {worker}");
                    assert_eq!(device.frames_home(), device.frames_total());
                    drop(device);
                    assert_eq!(monitor.frames_home(), monitor.frames_total());
                    let stats = monitor.stats();
                    assert_eq!(stats.tx_invalid_descs, 0);
                    // The kernel found the ring empty after the last packet.
                    assert!(stats.tx_ring_empty_descs > 0);
                });
            }
            let mut next = vec![0; workers];
            let mut buffer = [0; 2048];
            while next.iter().any(|next| *next < count) {
                let packet = wire.receive(&mut buffer, Duration::from_secs(60));
                let packet = packet.unwrap_or_else(|| panic!("packets were lost after {next:?}"));
                let (worker, number) = wire::read(packet);
                assert_eq!(number, next[usize::from(worker)], "worker {worker}");
                next[usize::from(worker)] += 1;
            }
            assert!(
                wire.receive(&mut buffer, Duration::from_millis(50))
                    .is_none()
            );
        });
    });
}

/// Fills a burst with packets of `len` bytes.
fn burst(device: &mut AfXdp, count: u32, len: usize) -> Vec<XdpFrame> {
    (0..count)
        .map(|number| {
            let mut frame = device.allocate().expect("fewer packets than frames");
            wire::write(&mut device.room(&mut frame)[..len], 0, number);
            device.set_len(&mut frame, len);
            frame
        })
        .collect()
}

#[test]
fn one_call_sends_more_than_the_kernel_takes_at_once() {
    with_veth(1, || {
        let wire = Wire::open();
        let mut buffer = [0; 2048];
        for need_wakeup in [true, false] {
            let options = OpenOptions {
                need_wakeup,
                ..OpenOptions::new(NIC)
            };
            let mut device = AfXdp::open(options).unwrap().pop().unwrap();
            let mut burst = burst(&mut device, 500, SHORTEST);
            assert_eq!(device.transmit(&mut burst), 500);
            for number in 0..500 {
                let packet = wire.receive(&mut buffer, Duration::from_secs(60));
                assert_eq!(wire::read(packet.expect("the whole burst")), (0, number));
            }
            assert_eq!(device.frames_home(), device.frames_total() - 500);
            assert!(device.drain(Duration::from_secs(60)));
        }
    });
}

#[test]
fn packets_that_the_network_refuses_come_home_too() {
    with_veth(1, || {
        let mut device = AfXdp::open(OpenOptions::new(NIC)).unwrap().pop().unwrap();
        // First packets longer than the MTU of 1500, then packets while the peer is down.
        for (len, down) in [(1700, false), (SHORTEST, true)] {
            if down {
                ip(&["link", "set", PEER, "down"]);
            }
            let mut burst = burst(&mut device, 100, len);
            assert_eq!(device.transmit(&mut burst), 100);
            assert!(device.drain(Duration::from_secs(60)), "{len} bytes, {down}");
        }
    });
}

#[test]
fn invalidated_packets_are_addressed_to_their_sender() {
    with_veth(1, || {
        let wire = Wire::open();
        let mut buffer = [0; 2048];
        let mut receive = || {
            let packet = wire.receive(&mut buffer, Duration::from_secs(60));
            let packet = packet.expect("an invalidated packet is still sent");
            (wire::number(packet), packet[..6] == packet[6..12])
        };
        let mut device = AfXdp::open(OpenOptions::new(NIC)).unwrap().pop().unwrap();
        // Send ten packets first, so that the ring holds only a part of all packets ever queued.
        let mut frames = burst(&mut device, 10, SHORTEST);
        assert_eq!(device.transmit(&mut frames), 10);
        assert!((0..10).all(|number| receive() == (number, false)));
        ip(&["link", "set", NIC, "down"]);
        let mut frames = burst(&mut device, 3, SHORTEST);
        assert_eq!(device.transmit(&mut frames), 3);
        device.invalidate_pending();
        let mut frames = burst(&mut device, 2, SHORTEST);
        assert_eq!(device.transmit(&mut frames), 2);
        ip(&["link", "set", NIC, "up"]);
        device.maintain();
        assert!((0..3).all(|number| receive() == (number, true)));
        assert!((0..2).all(|number| receive() == (number, false)));
        assert!(device.drain(Duration::from_secs(60)));
    });
}

#[test]
fn a_drain_ends_when_the_nic_is_gone() {
    with_veth(1, || {
        let mut device = AfXdp::open(OpenOptions::new(NIC)).unwrap().pop().unwrap();
        ip(&["link", "delete", NIC]);
        let mut burst = burst(&mut device, 10, SHORTEST);
        device.transmit(&mut burst);
        let start = Instant::now();
        assert!(!device.drain(Duration::from_millis(100)));
        device.maintain();
        device.wait(Duration::from_millis(50));
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn one_worker_sends_every_packet_in_order() {
    send_from_all_workers(1, 1, 8192, 20_000);
}

#[test]
fn three_workers_on_one_queue_send_every_packet_in_order() {
    send_from_all_workers(1, 3, 8192, 20_000);
}

#[test]
fn many_workers_with_few_frames_do_not_starve_one_another() {
    send_from_all_workers(1, 8, 128 * 9, 5_000);
}

#[test]
fn workers_with_two_transmit_queues_send_every_packet_in_order() {
    send_from_all_workers(2, 3, 2048, 10_000);
}
