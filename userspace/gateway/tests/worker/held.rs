//! Holds of a whole worker: what is kept, what passes, and how it goes on.

use std::time::{Duration, Instant};

use causeway_gateway::{Command, Hold, Refused, Released};
use causeway_rescale::message::AtLimit;
use causeway_steering::headers::ETHERNET;
use causeway_steering::{Drop, FlowKey, Headers, SteerHash};

use crate::packet::Packet;
use crate::side::{Setup, Side, both, carry, gateway_mac};

/// What both demuxes steer by.
pub const HASH: SteerHash = SteerHash { key: [7, 9] };
const LIMIT: Duration = Duration::from_secs(1);

/// The bucket of a frame.
pub fn bucket(frame: &[u8]) -> u32 {
    let headers = Headers::parse(frame, ETHERNET).expect("a packet");
    HASH.bucket(&FlowKey::of(frame, &headers))
}

/// The packet with this number of a host's flow.
fn frame(host: u8, number: u8) -> Vec<u8> {
    Packet::udp([10, 1, 0, host], [10, 2, 0, 2], &[number; 40]).frame(gateway_mac(1))
}

/// A hold of the flows of these hosts.
fn hold(id: u64, hosts: &[u8], until: Instant, at_limit: AtLimit) -> Hold {
    Hold {
        tunnel: 0,
        id,
        buckets: hosts.iter().map(|&host| bucket(&frame(host, 0))).collect(),
        hash: HASH,
        until,
        at_limit,
    }
}

/// Begins it, and sees it begun.
fn begin(side: &mut Side, hold: Hold) {
    let held = side.tell(|reply| Command::Hold { hold, reply });
    assert_eq!(side.work(), Vec::<Vec<u8>>::new());
    assert_eq!(held.try_recv(), Ok(Ok(())));
}

/// What the peer makes of what was sealed: each packet's host and number.
fn arrived(far: &mut Side, sealed: Vec<Vec<u8>>) -> Vec<(u8, u8)> {
    let opened = carry(sealed, 1)
        .into_iter()
        .flat_map(|frame| far.exchange(&[frame]));
    opened
        .map(|frame| (frame[14 + 15], frame[14 + 28]))
        .collect()
}

#[test]
fn held_packets_go_in_their_order_and_later_ones_behind_them() {
    let setup = Setup {
        burst: 4,
        ..Setup::default()
    };
    let mut near = Side::new(1, &setup);
    let mut far = Side::new(2, &Setup::default());
    let until = near.now + LIMIT;
    begin(&mut near, hold(5, &[2, 3], until, AtLimit::Drop));
    // A second hold of one id changes nothing.
    begin(&mut near, hold(5, &[4], until, AtLimit::Drop));

    let frames: Vec<_> = (0..10)
        .flat_map(|number| [2, 3, 4].map(|host| frame(host, number)))
        .collect();
    let passed = near.exchange(&frames);
    let passed = arrived(&mut far, passed);
    assert_eq!(
        passed,
        (0..10).map(|number| (4, number)).collect::<Vec<_>>()
    );
    let totals = near.totals();
    assert_eq!((totals.waiting, totals.holding, totals.held), (20, 20, 20));
    assert_eq!(totals.holds, 1);

    // While they go, more come than fit a round; none of a held flow overtakes.
    let released = near.tell(|reply| Command::Release { id: 5, reply });
    let mut out = Vec::new();
    for number in 10..20 {
        for host in [2, 3, 4] {
            assert!(near.wire.inject(&frame(host, number)));
        }
        near.worker.obey();
        near.worker.round(near.now);
        assert!(near.totals().balanced());
        out.extend(std::iter::from_fn(|| near.wire.take()));
    }
    out.extend(near.work());
    let out = arrived(&mut far, out);
    for host in [2, 3] {
        let its: Vec<_> = out.iter().filter(|each| each.0 == host).collect();
        assert_eq!(its.len(), 20);
        assert!(its.is_sorted(), "{its:?}");
    }
    assert_eq!(out.iter().filter(|each| each.0 == 4).count(), 10);
    let count = released.try_recv().expect("an answer").expect("a hold");
    assert!((20..40).contains(&count.packets), "{count:?}");
    assert_eq!(count.dropped, 0);
    assert_eq!(near.totals().holds, 0);

    // It is over: said again, it answers the same and does not come back.
    let again = near.tell(|reply| Command::Release { id: 5, reply });
    let hold = hold(5, &[2], until, AtLimit::Drop);
    let late = near.tell(|reply| Command::Hold { hold, reply });
    let unknown = near.tell(|reply| Command::Release { id: 6, reply });
    near.work();
    assert_eq!(again.try_recv(), Ok(Ok(count)));
    assert_eq!(late.try_recv(), Ok(Err(Refused::HoldIsOver { id: 5 })));
    assert_eq!(unknown.try_recv(), Ok(Err(Refused::NoSuchHold { id: 6 })));
    assert_eq!(near.finish().sent, 60);
}

#[test]
fn a_hold_comes_to_its_end_whatever_arrives_for_it() {
    for arriving in [0, 4] {
        let setup = Setup {
            burst: 4,
            ..Setup::default()
        };
        let mut near = Side::new(1, &setup);
        let until = near.now + LIMIT;
        begin(&mut near, hold(1, &[2], until, AtLimit::Drop));
        let frames: Vec<_> = (0..40).map(|number| frame(2, number)).collect();
        assert_eq!(near.exchange(&frames).len(), 0);
        let released = near.tell(|reply| Command::Release { id: 1, reply });
        // And a marker, which what a hold has kept came before.
        let sealed = near.tell(|reply| Command::Mark {
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
            near.worker.obey();
            near.worker.round(near.now);
            out.extend(std::iter::from_fn(|| near.wire.take()));
            rounds += 1;
        }
        assert_eq!(rounds, if arriving == 0 { 10 } else { 19 });
        out.extend(near.work());
        assert!(sealed.try_recv().is_ok());
        let out = arrived(&mut Side::new(2, &Setup::default()), out);
        let place = out.iter().position(|&(host, _)| host == 100);
        assert!(place.expect("the marker") >= 40, "{out:?}");
        near.finish();
    }
}

#[test]
fn what_finds_no_room_is_named() {
    let setup = Setup {
        hold_packets: 5,
        ..Setup::default()
    };
    let (mut near, mut far) = both(&setup);
    let until = near.now + LIMIT;
    begin(&mut near, hold(1, &[2], until, AtLimit::Send));
    // A bound for all holds together.
    begin(&mut near, hold(2, &[3], until, AtLimit::Send));
    let frames: Vec<_> = (0..4)
        .flat_map(|number| [2, 3].map(|host| frame(host, number)))
        .collect();
    assert_eq!(near.exchange(&frames).len(), 0);
    let first = near.tell(|reply| Command::Release { id: 1, reply });
    let second = near.tell(|reply| Command::Release { id: 2, reply });
    let out = near.work();
    let out = arrived(&mut far, out);
    assert_eq!(out, [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1)]);
    let count = |packets, dropped| Ok(Ok(Released { packets, dropped }));
    assert_eq!(first.try_recv(), count(4, 1));
    assert_eq!(second.try_recv(), count(4, 2));
    assert_eq!(near.finish().drops[Drop::HoldFull], 3);
}

#[test]
fn at_the_limit_held_packets_are_dropped_or_sent() {
    let (mut near, mut far) = both(&Setup::default());
    let until = near.now + LIMIT;
    begin(&mut near, hold(1, &[2], until, AtLimit::Drop));
    begin(&mut near, hold(2, &[3], until, AtLimit::Send));
    let frames = [frame(2, 1), frame(3, 1), frame(2, 2), frame(3, 2)];
    assert_eq!(near.exchange(&frames).len(), 0);
    near.pass(LIMIT - Duration::from_millis(1));
    assert_eq!(near.work().len(), 0);
    near.pass(Duration::from_millis(1));
    let out = near.work();
    assert_eq!(arrived(&mut far, out), [(3, 1), (3, 2)]);
    let totals = near.totals();
    assert_eq!(totals.drops[Drop::HoldExpired], 2);
    assert_eq!((totals.holds, totals.holds_expired), (1, 2));
    // What may still be overtaken stays away, until it is said that nothing is.
    let out = near.exchange(&[frame(2, 3), frame(3, 3)]);
    assert_eq!(arrived(&mut far, out), [(3, 3)]);
    let released = near.tell(|reply| Command::Release { id: 1, reply });
    near.work();
    let count = Released {
        packets: 3,
        dropped: 3,
    };
    assert_eq!(released.try_recv(), Ok(Ok(count)));
    let out = near.exchange(&[frame(2, 4)]);
    assert_eq!(arrived(&mut far, out), [(2, 4)]);
    assert_eq!(near.finish().drops[Drop::HoldExpired], 3);
}

#[test]
fn a_drain_gives_up_what_nobody_releases() {
    let mut near = Side::new(1, &Setup::default());
    let until = near.now + LIMIT;
    begin(&mut near, hold(1, &[2], until, AtLimit::Drop));
    assert_eq!(near.exchange(&[frame(2, 1), frame(2, 2)]).len(), 0);
    let totals = near.finish();
    assert_eq!(totals.drops[Drop::Shutdown], 2);
    assert_eq!(totals.holding, 0);
}

#[test]
fn a_demux_that_starts_finds_no_hold_and_no_fence() {
    let (mut near, mut far) = both(&Setup::default());
    let until = near.now + LIMIT;
    begin(&mut near, hold(1, &[2], until, AtLimit::Drop));
    assert_eq!(near.exchange(&[frame(2, 1)]).len(), 0);
    let fenced = |reply| Command::Fence {
        tunnel: 0,
        fenced: true,
        reply,
    };
    let _ = far.tell(fenced);
    far.work();
    for side in [&mut near, &mut far] {
        let reset = side.tell(|reply| Command::Reset { tunnel: 0, reply });
        let none = side.tell(|reply| Command::Reset { tunnel: 1, reply });
        side.worker.obey();
        assert_eq!(reset.try_recv(), Ok(Ok(())));
        let refused = Refused::NoSuchTunnel { tunnel: 1 };
        assert_eq!(none.try_recv(), Ok(Err(refused)));
    }
    let out = near.work();
    assert_eq!(arrived(&mut far, out), [(2, 1)]);
    near.finish();
    far.finish();
}
