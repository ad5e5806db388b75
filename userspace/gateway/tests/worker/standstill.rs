//! A worker that was stopped discards what it finds, and only that.

use std::time::{Duration, Instant};

use causeway_gateway::{Command, Event, Hold, STANDSTILL};
use causeway_rescale::message::AtLimit;
use causeway_steering::{BUCKETS, Drop, SteerHash};

use crate::packet::Packet;
use crate::side::{Setup, Side, carry, gateway_mac};

const SOON: Duration = Duration::from_millis(1);

fn frame(to: u8) -> Vec<u8> {
    Packet::udp([10, 1, 0, 2], [10, 2, 0, to], &[0; 40]).frame(gateway_mac(1))
}

/// A side whose loop has run.
fn side(vpc: u8, setup: &Setup) -> Side {
    let mut side = Side::new(vpc, setup);
    side.worker.awake(side.now);
    side
}

fn standstills(side: &Side) -> Vec<Duration> {
    let events = side.control.events.try_iter();
    events
        .filter_map(|event| match event {
            Event::StoodStill(silent) => Some(silent),
            _ => None,
        })
        .collect()
}

#[test]
fn what_a_stopped_worker_finds_is_dropped_and_what_comes_then_is_not() {
    let mut near = side(1, &Setup::default());
    // Longer than it may sleep, with all that a busy machine adds.
    for silent in [Duration::from_millis(100), STANDSTILL] {
        near.pass(silent);
        near.worker.awake(near.now);
        assert_eq!(near.exchange(&[frame(2)]).len(), 1);
    }
    for _ in 0..20 {
        assert!(near.wire.inject(&frame(2)));
    }
    let silent = STANDSTILL + SOON;
    near.pass(silent);
    near.worker.awake(near.now);
    assert_eq!(near.work().len(), 0);
    assert_eq!(near.totals().drops[Drop::StoodStill], 20);
    assert_eq!(standstills(&near), [silent]);

    // What had not reached the ring when the worker woke may be as old.
    near.pass(Duration::from_millis(9));
    near.worker.awake(near.now);
    assert_eq!(near.exchange(&[frame(2)]).len(), 0);
    near.pass(SOON);
    near.worker.awake(near.now);
    assert_eq!(near.exchange(&[frame(2)]).len(), 1);
    let totals = near.finish();
    assert_eq!(
        (totals.drops[Drop::StoodStill], totals.standstills),
        (21, 1)
    );
}

#[test]
fn a_flood_does_not_keep_a_worker_that_came_back_from_its_work() {
    let setup = Setup {
        burst: 4,
        ..Setup::default()
    };
    let mut near = side(1, &setup);
    let bring = |near: &mut Side, count| {
        for _ in 0..count {
            assert!(near.wire.inject(&frame(2)));
        }
    };
    bring(&mut near, 10);
    near.pass(STANDSTILL + SOON);
    near.worker.awake(near.now);
    near.pass(Duration::from_millis(10));
    // More comes than is read: the ring is never found empty.
    for round in 0..20 {
        bring(&mut near, 5);
        near.worker.round(near.now);
        let sent = std::iter::from_fn(|| near.wire.take()).count();
        assert_eq!(sent, if round < 3 { 0 } else { 4 }, "{round}");
    }
    near.work();
    near.finish();
}

#[test]
fn nothing_that_a_stopped_worker_had_in_hand_leaves() {
    let mut peer = Side::new(1, &Setup::default());
    let sealed = peer.exchange(&[frame(9), frame(9)]);
    // The transmit ring takes two in a round.
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
    assert_eq!(far.totals().waiting, 2, "for a next hop");
    let hold = Hold {
        tunnel: 0,
        id: 1,
        buckets: (0..BUCKETS).collect(),
        hash: SteerHash::default(),
        until: far.now + Duration::from_secs(60),
        at_limit: AtLimit::Drop,
    };
    let _ = far.tell(|reply| Command::Hold { hold, reply });
    far.worker.obey();
    let back = Packet::udp([10, 2, 0, 2], [10, 1, 0, 2], &[0; 40]).frame(gateway_mac(2));
    assert!(far.wire.inject(&back));
    far.worker.round(far.now);
    assert_eq!(far.totals().holding, 1);
    far.pass(STANDSTILL + SOON);
    far.worker.awake(far.now);
    assert_eq!(far.work().len(), 0);
    let totals = far.totals();
    assert_eq!(totals.drops[Drop::StoodStill], 3);
    assert_eq!((totals.waiting, totals.holds), (0, 1), "the hold stays");
    far.finish();
}

#[test]
fn a_worker_that_is_stopped_in_the_middle_of_a_round_does_not_transmit() {
    // Its loop ran last so long ago by the machine's own clock, which it looks at last.
    let mut near = Side::new(1, &Setup::default());
    let past = Instant::now().checked_sub(STANDSTILL + SOON);
    near.worker
        .awake(past.expect("a machine that has run for a while"));
    assert_eq!(near.exchange(&[frame(2), frame(2)]).len(), 0);
    assert_eq!(near.totals().drops[Drop::StoodStill], 2);
    near.finish();
}
