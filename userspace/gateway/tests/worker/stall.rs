//! A worker that stalled drops the packets that waited meanwhile, and only those.

use std::time::{Duration, Instant};

use causeway_gateway::{Command, Event, Hold, STALL_AFTER};
use causeway_rescale::message::HoldTimeoutAction;
use causeway_steering::{BUCKETS, DropReason, SteerHash};

use crate::packet::Packet;
use crate::side::{Setup, Side, carry, gateway_mac};

const SOON: Duration = Duration::from_millis(1);

fn frame(to: u8) -> Vec<u8> {
    Packet::udp([10, 1, 0, 2], [10, 2, 0, to], &[0; 40]).frame(gateway_mac(1))
}

/// A gateway whose worker loop has run once.
fn side(vpc: u8, setup: &Setup) -> Side {
    let mut side = Side::new(vpc, setup);
    side.worker.heartbeat(side.now);
    side
}

fn worker_stalls(side: &Side) -> Vec<Duration> {
    let events = side.control.events.try_iter();
    events
        .filter_map(|event| match event {
            Event::WorkerStalled(silent) => Some(silent),
            _ => None,
        })
        .collect()
}

#[test]
fn packets_that_waited_during_a_stall_are_dropped_and_later_ones_are_not() {
    let mut near = side(1, &Setup::default());
    // Neither the longest sleep nor the limit itself is a stall.
    for silent in [Duration::from_millis(100), STALL_AFTER] {
        near.pass(silent);
        near.worker.heartbeat(near.now);
        assert_eq!(near.exchange(&[frame(2)]).len(), 1);
    }
    for _ in 0..20 {
        assert!(near.wire.inject(&frame(2)));
    }
    let silent = STALL_AFTER + SOON;
    near.pass(silent);
    near.worker.heartbeat(near.now);
    assert_eq!(near.work().len(), 0);
    assert_eq!(near.totals().drops[DropReason::WorkerStalled], 20);
    assert_eq!(worker_stalls(&near), [silent]);

    // Packets that reach the ring shortly after the stall may be as old.
    near.pass(Duration::from_millis(9));
    near.worker.heartbeat(near.now);
    assert_eq!(near.exchange(&[frame(2)]).len(), 0);
    near.pass(SOON);
    near.worker.heartbeat(near.now);
    assert_eq!(near.exchange(&[frame(2)]).len(), 1);
    let totals = near.finish();
    assert_eq!(
        (
            totals.drops[DropReason::WorkerStalled],
            totals.worker_stalls
        ),
        (21, 1)
    );
}

#[test]
fn a_flood_does_not_prolong_the_drops_after_a_stall() {
    let setup = Setup {
        burst: 4,
        ..Setup::default()
    };
    let mut near = side(1, &setup);
    let inject = |near: &mut Side, count| {
        for _ in 0..count {
            assert!(near.wire.inject(&frame(2)));
        }
    };
    inject(&mut near, 10);
    near.pass(STALL_AFTER + SOON);
    near.worker.heartbeat(near.now);
    near.pass(Duration::from_millis(10));
    // More packets arrive than are read, so the ring is never empty.
    for round in 0..20 {
        inject(&mut near, 5);
        near.worker.round(near.now);
        let sent = std::iter::from_fn(|| near.wire.take()).count();
        assert_eq!(sent, if round < 3 { 0 } else { 4 }, "{round}");
    }
    near.work();
    near.finish();
}

#[test]
fn packets_that_a_worker_had_before_a_stall_are_dropped() {
    let mut peer = Side::new(1, &Setup::default());
    let sealed = peer.exchange(&[frame(9), frame(9)]);
    // The transmit ring takes two packets per round.
    let setup = Setup {
        ring: 2,
        burst: 8,
        ..Setup::default()
    };
    let mut far = side(2, &setup);
    for frame in carry(sealed, 1) {
        assert!(far.wire.inject(&frame));
    }
    far.worker.round(far.now);
    assert_eq!(far.totals().waiting, 2, "two packets wait for a next hop");
    let hold = Hold {
        tunnel: 0,
        id: 1,
        buckets: (0..BUCKETS).collect(),
        hash: SteerHash::default(),
        until: far.now + Duration::from_secs(60),
        hold_timeout_action: HoldTimeoutAction::Drop,
    };
    let _ = far.request(|reply| Command::Hold { hold, reply });
    far.worker.process_commands();
    let back = Packet::udp([10, 2, 0, 2], [10, 1, 0, 2], &[0; 40]).frame(gateway_mac(2));
    assert!(far.wire.inject(&back));
    far.worker.round(far.now);
    assert_eq!(far.totals().holding, 1);
    far.pass(STALL_AFTER + SOON);
    far.worker.heartbeat(far.now);
    assert_eq!(far.work().len(), 0);
    let totals = far.totals();
    assert_eq!(totals.drops[DropReason::WorkerStalled], 3);
    assert_eq!((totals.waiting, totals.holds), (0, 1), "the hold remains");
    far.finish();
}

#[test]
fn a_worker_that_stalls_within_a_round_does_not_transmit() {
    // The last heartbeat is older than the limit by the system clock, which the worker reads before it transmits.
    let mut near = Side::new(1, &Setup::default());
    let past = Instant::now().checked_sub(STALL_AFTER + SOON);
    near.worker
        .heartbeat(past.expect("an uptime of at least a second"));
    assert_eq!(near.exchange(&[frame(2), frame(2)]).len(), 0);
    assert_eq!(near.totals().drops[DropReason::WorkerStalled], 2);
    near.finish();
}
