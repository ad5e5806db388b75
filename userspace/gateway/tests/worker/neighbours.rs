//! Next hops whose MAC addresses are unknown.

use std::time::Duration;

use causeway_gateway::{Command, Event};
use causeway_steering::DropReason;

use crate::packet::Packet;
use crate::side::{Setup, Side, both, carry, gateway_mac, host_mac, routes};

const HOST_1: [u8; 4] = [10, 1, 0, 2];

fn to_host(host: u8, number: u8) -> Packet {
    Packet::udp(HOST_1, [10, 2, 0, host], &[number; 10])
}

/// Seals numbered packets to hosts of VPC 2, and opens them at its gateway. Returns the frames sent.
fn arrive(a: &mut Side, b: &mut Side, packets: &[(u8, u8)]) -> Vec<Vec<u8>> {
    let frames: Vec<_> = packets
        .iter()
        .map(|&(host, number)| to_host(host, number).frame(gateway_mac(1)))
        .collect();
    let sealed = a.exchange(&frames);
    b.exchange(&carry(sealed, 1))
}

fn events(side: &Side) -> Vec<Event> {
    side.control.events.try_iter().collect()
}

/// The numbers in the payloads of IPv4 packets.
fn numbers(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().map(|frame| frame[14 + 28]).collect()
}

#[test]
fn packets_wait_for_the_neighbour_and_keep_their_order() {
    let (mut a, mut b) = both(&Setup::default());
    assert_eq!(arrive(&mut a, &mut b, &[(9, 1), (9, 2)]).len(), 0);
    assert_eq!(b.totals().waiting, 2);
    assert_eq!(
        events(&b),
        [Event::Resolve([10, 2, 0, 9].into())],
        "requested once"
    );
    // Packets to another host do not wait.
    assert_eq!(numbers(&arrive(&mut a, &mut b, &[(2, 3)])), [3]);

    // The next packet arrives together with the answer. It must not overtake the waiting packets.
    let sealed = a.exchange(&[to_host(9, 4).frame(gateway_mac(1))]);
    b.control
        .send(Command::Routes(routes(2, &[1, 2, 3, 9])))
        .expect("a worker");
    let opened = b.exchange(&carry(sealed, 1));
    assert_eq!(numbers(&opened), [1, 2, 4]);
    assert!(opened.iter().all(|frame| frame[..6] == host_mac(2, 9)));
    assert_eq!(opened[0][14..], to_host(9, 1).forwarded());
    let totals = b.finish();
    assert_eq!((totals.received, totals.sent), (4, 4));
}

#[test]
fn packets_keep_waiting_if_a_new_snapshot_lacks_their_neighbour() {
    let (mut a, mut b) = both(&Setup::default());
    arrive(&mut a, &mut b, &[(9, 1), (8, 2), (9, 3)]);
    b.control
        .send(Command::Routes(routes(2, &[1, 8])))
        .expect("a worker");
    assert_eq!(numbers(&b.work()), [2]);
    b.control
        .send(Command::Routes(routes(2, &[1, 9])))
        .expect("a worker");
    assert_eq!(numbers(&b.work()), [1, 3]);
    b.finish();
}

#[test]
fn lookups_are_repeated_and_packets_are_dropped_after_a_second() {
    let (mut a, mut b) = both(&Setup::default());
    arrive(&mut a, &mut b, &[(9, 1)]);
    b.pass(Duration::from_millis(240));
    b.work();
    assert_eq!(events(&b).len(), 1);
    b.pass(Duration::from_millis(20));
    b.work();
    assert_eq!(events(&b).len(), 1);
    b.pass(Duration::from_millis(700));
    arrive(&mut a, &mut b, &[(9, 2)]);
    assert_eq!(b.totals().drops[DropReason::NeighbourUnresolved], 0);
    b.pass(Duration::from_millis(50));
    b.work();
    assert_eq!(
        b.totals().drops[DropReason::NeighbourUnresolved],
        1,
        "the first packet, not the second"
    );
    assert_eq!(b.totals().waiting, 1);
    let totals = b.finish();
    assert_eq!(totals.drops[DropReason::Shutdown], 1);
}

#[test]
fn the_queue_is_bounded_per_neighbour_and_as_a_whole() {
    let (mut a, mut b) = both(&Setup::default());
    let one: Vec<_> = (0..40).map(|number| (9, number)).collect();
    arrive(&mut a, &mut b, &one);
    assert_eq!(b.totals().waiting, 32);
    assert_eq!(b.totals().drops[DropReason::NeighbourQueueFull], 8);
    for host in 10..20 {
        let more: Vec<_> = (0..32).map(|number| (host, number)).collect();
        arrive(&mut a, &mut b, &more);
    }
    assert_eq!(b.totals().waiting, 256);
    assert_eq!(b.totals().drops[DropReason::NeighbourQueueFull], 8 + 3 * 32);
    let totals = b.finish();
    assert_eq!(totals.drops[DropReason::Shutdown], 256);
}

#[test]
fn outbound_packets_wait_for_the_router() {
    let (mut a, mut b) = both(&Setup::default());
    a.control
        .send(Command::Routes(routes(1, &[2])))
        .expect("a worker");
    let sequence = a.control.counters.sequences_remaining();
    let big = Packet::udp(HOST_1, [10, 2, 0, 2], &[7; 1472]);
    // At most 16 packets of two fragments may wait for one next hop.
    assert_eq!(a.exchange(&vec![big.frame(gateway_mac(1)); 17]).len(), 0);
    assert_eq!(events(&a), [Event::Resolve([10, 1, 0, 1].into())]);
    assert_eq!(a.totals().waiting, 16);
    assert_eq!(a.totals().drops[DropReason::NeighbourQueueFull], 1);
    assert_eq!(
        a.control.counters.sequences_remaining()[0],
        sequence[0] - 32,
        "a packet without a place in the queue is not sealed"
    );
    a.control
        .send(Command::Routes(routes(1, &[1, 2])))
        .expect("a worker");
    let sealed = a.work();
    assert_eq!(b.exchange(&carry(sealed, 1)).len(), 32);
    assert_eq!((a.totals().sent, a.totals().originated), (16, 16));
    a.finish();
    b.finish();
}

/// The kernel does not see the traffic. Without periodic lookups it would keep an old MAC address for ever, even a wrong
/// one.
#[test]
fn a_neighbour_in_use_is_confirmed_periodically() {
    let (mut a, mut b) = both(&Setup::default());
    let resolve = |address: [u8; 4]| vec![Event::Resolve(address.into())];
    // The first lookup starts the interval, since the worker was made slightly before the test's clock.
    for time in [100, 99, 1, 99, 1].map(Duration::from_millis) {
        a.pass(time);
        b.pass(time);
        assert_eq!(arrive(&mut a, &mut b, &[(2, 1), (3, 2)]).len(), 2);
        let due = time != Duration::from_millis(99);
        assert_eq!(
            events(&a),
            if due { resolve([10, 1, 0, 1]) } else { vec![] }
        );
        assert_eq!(
            events(&b),
            if due { resolve([10, 2, 0, 3]) } else { vec![] }
        );
    }
    a.pass(Duration::from_secs(1));
    a.work();
    assert_eq!(events(&a), [], "the neighbour is not in use");
    a.finish();
    b.finish();
}

#[test]
fn packets_without_a_route_are_dropped() {
    let (mut a, mut b) = both(&Setup::default());
    arrive(&mut a, &mut b, &[(9, 1)]);
    b.control
        .send(Command::Routes(Default::default()))
        .expect("a worker");
    assert_eq!(arrive(&mut a, &mut b, &[(9, 2), (2, 3)]).len(), 0);
    assert_eq!(b.finish().drops[DropReason::Unreachable], 3);
    a.control
        .send(Command::Routes(Default::default()))
        .expect("a worker");
    assert_eq!(a.exchange(&[to_host(2, 4).frame(gateway_mac(1))]).len(), 0);
    assert_eq!(a.finish().drops[DropReason::Unreachable], 1);
}
