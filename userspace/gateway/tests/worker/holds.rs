//! Holds in a whole worker: held packets, passing packets, release and timeout.

use std::time::{Duration, Instant};

use causeway_gateway::{Command, Hold, Refused, Released};
use causeway_rescale::message::HoldTimeoutAction;
use causeway_steering::headers::ETHERNET;
use causeway_steering::{DropReason, FlowKey, Headers, SteerHash};

use crate::packet::Packet;
use crate::side::{Setup, Side, both, carry, gateway_mac};

/// The steering hash of both demuxes.
pub const HASH: SteerHash = SteerHash { key: [7, 9] };
const LIMIT: Duration = Duration::from_secs(1);

/// The bucket of a frame.
pub fn bucket(frame: &[u8]) -> u32 {
    let headers = Headers::parse(frame, ETHERNET).expect("a packet");
    HASH.bucket(&FlowKey::of(frame, &headers))
}

/// Packet `number` of the flow of a host.
fn frame(host: u8, number: u8) -> Vec<u8> {
    Packet::udp([10, 1, 0, host], [10, 2, 0, 2], &[number; 40]).frame(gateway_mac(1))
}

/// A hold of the flows of these hosts.
fn hold(id: u64, hosts: &[u8], until: Instant, hold_timeout_action: HoldTimeoutAction) -> Hold {
    Hold {
        tunnel: 0,
        id,
        buckets: hosts.iter().map(|&host| bucket(&frame(host, 0))).collect(),
        hash: HASH,
        until,
        hold_timeout_action,
    }
}

/// Begins a hold and checks the answer.
fn begin(side: &mut Side, hold: Hold) {
    let held = side.request(|reply| Command::Hold { hold, reply });
    assert_eq!(side.work(), Vec::<Vec<u8>>::new());
    assert_eq!(held.try_recv(), Ok(Ok(())));
}

/// Opens sealed packets at the peer. Returns host and number of each packet.
fn opened(far: &mut Side, sealed: Vec<Vec<u8>>) -> Vec<(u8, u8)> {
    let frames = carry(sealed, 1)
        .into_iter()
        .flat_map(|frame| far.exchange(&[frame]));
    frames
        .map(|frame| (frame[14 + 15], frame[14 + 28]))
        .collect()
}

#[test]
fn held_packets_leave_in_order_before_later_ones() {
    let setup = Setup {
        burst: 4,
        ..Setup::default()
    };
    let mut near = Side::new(1, &setup);
    let mut far = Side::new(2, &Setup::default());
    let until = near.now + LIMIT;
    begin(&mut near, hold(5, &[2, 3], until, HoldTimeoutAction::Drop));
    // A second hold with the same id has no effect.
    begin(&mut near, hold(5, &[4], until, HoldTimeoutAction::Drop));

    let frames: Vec<_> = (0..10)
        .flat_map(|number| [2, 3, 4].map(|host| frame(host, number)))
        .collect();
    let passed = near.exchange(&frames);
    let passed = opened(&mut far, passed);
    assert_eq!(
        passed,
        (0..10).map(|number| (4, number)).collect::<Vec<_>>()
    );
    let totals = near.totals();
    assert_eq!((totals.waiting, totals.holding, totals.held), (20, 20, 20));
    assert_eq!(totals.holds, 1);

    // During the release more packets arrive than fit a round. None of a held flow overtakes a held packet.
    let released = near.request(|reply| Command::Release { id: 5, reply });
    let mut out = Vec::new();
    for number in 10..20 {
        for host in [2, 3, 4] {
            assert!(near.wire.inject(&frame(host, number)));
        }
        near.worker.process_commands();
        near.worker.round(near.now);
        assert!(near.totals().balanced());
        out.extend(std::iter::from_fn(|| near.wire.take()));
    }
    out.extend(near.work());
    let out = opened(&mut far, out);
    for host in [2, 3] {
        let of_host: Vec<_> = out.iter().filter(|each| each.0 == host).collect();
        assert_eq!(of_host.len(), 20);
        assert!(of_host.is_sorted(), "{of_host:?}");
    }
    assert_eq!(out.iter().filter(|each| each.0 == 4).count(), 10);
    let count = released.try_recv().expect("an answer").expect("a hold");
    assert!((20..40).contains(&count.packets), "{count:?}");
    assert_eq!(count.dropped, 0);
    assert_eq!(near.totals().holds, 0);

    // The hold is over: a repeated release gets the same answer, and a repeated hold is refused.
    let again = near.request(|reply| Command::Release { id: 5, reply });
    let hold = hold(5, &[2], until, HoldTimeoutAction::Drop);
    let late = near.request(|reply| Command::Hold { hold, reply });
    let unknown = near.request(|reply| Command::Release { id: 6, reply });
    near.work();
    assert_eq!(again.try_recv(), Ok(Ok(count)));
    assert_eq!(late.try_recv(), Ok(Err(Refused::HoldEnded { id: 5 })));
    assert_eq!(unknown.try_recv(), Ok(Err(Refused::NoSuchHold { id: 6 })));
    assert_eq!(near.finish().sent, 60);
}

#[test]
fn a_release_ends_while_packets_keep_arriving() {
    for arriving in [0, 4] {
        let setup = Setup {
            burst: 4,
            ..Setup::default()
        };
        let mut near = Side::new(1, &setup);
        let until = near.now + LIMIT;
        begin(&mut near, hold(1, &[2], until, HoldTimeoutAction::Drop));
        let frames: Vec<_> = (0..40).map(|number| frame(2, number)).collect();
        assert_eq!(near.exchange(&frames).len(), 0);
        let released = near.request(|reply| Command::Release { id: 1, reply });
        // A marker that arrived after the held packets.
        let sealed = near.request(|reply| Command::Mark {
            tunnel: 0,
            packet: Packet::udp([10, 1, 0, 100], [10, 2, 0, 3], &[99; 40]).ip(),
            behind: true,
            reply,
        });
        let mut rounds = 0;
        let mut out = Vec::new();
        while released.is_empty() {
            assert!(sealed.is_empty());
            (0..arriving).for_each(|number| assert!(near.wire.inject(&frame(2, 100 + number))));
            near.worker.process_commands();
            near.worker.round(near.now);
            out.extend(std::iter::from_fn(|| near.wire.take()));
            rounds += 1;
        }
        assert_eq!(rounds, if arriving == 0 { 10 } else { 19 });
        out.extend(near.work());
        assert!(sealed.try_recv().is_ok());
        let out = opened(&mut Side::new(2, &Setup::default()), out);
        let place = out.iter().position(|&(host, _)| host == 100);
        assert!(place.expect("the marker") >= 40, "{out:?}");
        near.finish();
    }
}

#[test]
fn packets_beyond_the_limit_of_all_holds_are_dropped() {
    let setup = Setup {
        hold_packets: 5,
        ..Setup::default()
    };
    let (mut near, mut far) = both(&setup);
    let until = near.now + LIMIT;
    begin(&mut near, hold(1, &[2], until, HoldTimeoutAction::Send));
    // The limit applies to all holds together.
    begin(&mut near, hold(2, &[3], until, HoldTimeoutAction::Send));
    let frames: Vec<_> = (0..4)
        .flat_map(|number| [2, 3].map(|host| frame(host, number)))
        .collect();
    assert_eq!(near.exchange(&frames).len(), 0);
    let first = near.request(|reply| Command::Release { id: 1, reply });
    let second = near.request(|reply| Command::Release { id: 2, reply });
    let out = near.work();
    let out = opened(&mut far, out);
    assert_eq!(out, [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1)]);
    let count = |packets, dropped| Ok(Ok(Released { packets, dropped }));
    assert_eq!(first.try_recv(), count(4, 1));
    assert_eq!(second.try_recv(), count(4, 2));
    assert_eq!(near.finish().drops[DropReason::HoldFull], 3);
}

#[test]
fn on_timeout_held_packets_are_dropped_or_sent() {
    let (mut near, mut far) = both(&Setup::default());
    let until = near.now + LIMIT;
    begin(&mut near, hold(1, &[2], until, HoldTimeoutAction::Drop));
    begin(&mut near, hold(2, &[3], until, HoldTimeoutAction::Send));
    let frames = [frame(2, 1), frame(3, 1), frame(2, 2), frame(3, 2)];
    assert_eq!(near.exchange(&frames).len(), 0);
    near.pass(LIMIT - Duration::from_millis(1));
    assert_eq!(near.work().len(), 0);
    near.pass(Duration::from_millis(1));
    let out = near.work();
    assert_eq!(opened(&mut far, out), [(3, 1), (3, 2)]);
    let totals = near.totals();
    assert_eq!(totals.drops[DropReason::HoldExpired], 2);
    assert_eq!((totals.holds, totals.holds_expired), (1, 2));
    // With the action `drop`, later packets are dropped until the release.
    let out = near.exchange(&[frame(2, 3), frame(3, 3)]);
    assert_eq!(opened(&mut far, out), [(3, 3)]);
    let released = near.request(|reply| Command::Release { id: 1, reply });
    near.work();
    let count = Released {
        packets: 3,
        dropped: 3,
    };
    assert_eq!(released.try_recv(), Ok(Ok(count)));
    let out = near.exchange(&[frame(2, 4)]);
    assert_eq!(opened(&mut far, out), [(2, 4)]);
    assert_eq!(near.finish().drops[DropReason::HoldExpired], 3);
}

#[test]
fn a_drain_drops_held_packets() {
    let mut near = Side::new(1, &Setup::default());
    let until = near.now + LIMIT;
    begin(&mut near, hold(1, &[2], until, HoldTimeoutAction::Drop));
    assert_eq!(near.exchange(&[frame(2, 1), frame(2, 2)]).len(), 0);
    let totals = near.finish();
    assert_eq!(totals.drops[DropReason::Shutdown], 2);
    assert_eq!(totals.holding, 0);
}

#[test]
fn a_reset_ends_holds_and_fences() {
    let (mut near, mut far) = both(&Setup::default());
    let until = near.now + LIMIT;
    begin(&mut near, hold(1, &[2], until, HoldTimeoutAction::Drop));
    assert_eq!(near.exchange(&[frame(2, 1)]).len(), 0);
    let fenced = |reply| Command::Fence {
        tunnel: 0,
        fenced: true,
        reply,
    };
    let _ = far.request(fenced);
    far.work();
    for side in [&mut near, &mut far] {
        let reset = side.request(|reply| Command::Reset { tunnel: 0, reply });
        let none = side.request(|reply| Command::Reset { tunnel: 1, reply });
        side.worker.process_commands();
        assert_eq!(reset.try_recv(), Ok(Ok(())));
        let refused = Refused::NoSuchTunnel { tunnel: 1 };
        assert_eq!(none.try_recv(), Ok(Err(refused)));
    }
    let out = near.work();
    assert_eq!(opened(&mut far, out), [(2, 1)]);
    near.finish();
    far.finish();
}
