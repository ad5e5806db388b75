//! Sleeping, waking, monitoring and closing a device.

use std::{
    thread,
    time::{Duration, Instant},
};

use causeway_device::{AfXdp, Device, Monitor, OpenOptions};

use crate::{
    namespace::{NIC, with_veth},
    wire::{self, Wire},
    xdp::Redirect,
};

fn is_send<T: Send>(_: &T) {}

fn open() -> AfXdp {
    AfXdp::open(OpenOptions::new(NIC)).unwrap().pop().unwrap()
}

#[test]
fn a_wait_ends_by_timeout_by_waker_and_by_a_packet() {
    with_veth(1, || {
        let wire = Wire::open();
        let redirect = Redirect::attach();
        let mut device = open();
        is_send(&device);
        for (queue, socket) in device.sockets() {
            redirect.steer(queue, 0, socket);
        }
        let long = Duration::from_secs(60);

        let start = Instant::now();
        device.wait(Duration::from_millis(30));
        assert!(start.elapsed() >= Duration::from_millis(30));

        let waker = device.waker();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                waker.wake();
            });
            device.wait(long);
        });

        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                let mut packet = [0; 100];
                wire::write(&mut packet, 0, 1);
                wire.send(&packet);
            });
            device.wait(long);
        });
        let mut burst = Vec::with_capacity(1);
        assert_eq!(device.receive(&mut burst, 1), 1);
        device.release(burst.pop().unwrap());
        assert!(start.elapsed() < long);
    });
}

#[test]
fn a_monitor_outlives_its_device_and_keeps_no_socket_open() {
    with_veth(1, || {
        let device = open();
        let monitor: Monitor = device.monitor();
        is_send(&monitor);
        drop(device);
        assert_eq!(monitor.stats().lost(), 0);
        assert_eq!(monitor.frames_home(), monitor.frames_total());
        // This fails if the queue is still in use.
        open();
    });
}

#[test]
#[should_panic(expected = "the frame belongs to another device")]
fn a_frame_of_another_worker_is_refused() {
    with_veth(1, || {
        let options = OpenOptions {
            workers: 2,
            ..OpenOptions::new(NIC)
        };
        let mut devices = AfXdp::open(options).unwrap();
        let frame = devices[0].allocate().unwrap();
        devices[1].release(frame);
    });
}
