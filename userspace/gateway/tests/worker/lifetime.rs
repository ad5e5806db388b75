//! Lifetime limits of SAs.

use std::collections::BTreeSet;
use std::time::Duration;

use causeway_esp::{Lifetime, LifetimeState, Limits};
use causeway_gateway::{Bound, Command, Direction, Event, Limit, Reply};
use causeway_steering::DropReason;

use crate::packet::Packet;
use crate::side::{
    Setup, Side, carry, config, gateway_mac, host, inbound_lasting, inbound_of, outbound_lasting,
    spi, tunnel,
};

fn frames(count: usize) -> Vec<Vec<u8>> {
    let packet = Packet::udp([10, 1, 0, 2], [10, 2, 0, 2], &[0; 40]);
    vec![packet.frame(gateway_mac(1)); count]
}

/// Both gateways. The SAs from VPC 1 to VPC 2 have these lifetimes.
fn both(sealing: Lifetime, opening: Lifetime) -> (Side, Side) {
    let setup = Setup::default();
    let (mut near, mut far) = (config(1, &setup), config(2, &setup));
    near.tunnels[0].outbound = outbound_lasting(1, 2, 0, &setup, sealing).into();
    far.tunnels[0].inbound = inbound_lasting(1, 0, opening).into();
    (Side::with(near, &setup), Side::with(far, &setup))
}

fn limits(side: &Side) -> Vec<Limit> {
    let events = side.control.events.try_iter();
    events
        .filter_map(|event| match event {
            Event::Limit(limit) => Some(limit),
            _ => None,
        })
        .collect()
}

fn limit(direction: Direction, state: LifetimeState) -> Limit {
    Limit {
        tunnel: 0,
        direction,
        spi: spi(1, 0),
        state,
        bound: Bound::Lifetime,
    }
}

fn packets(soft: u64, hard: u64) -> Lifetime {
    let limits = |packets| Limits {
        packets: Some(packets),
        ..Limits::default()
    };
    Lifetime {
        soft: limits(soft),
        hard: limits(hard),
    }
}

fn seconds(soft: u64, hard: u64) -> Lifetime {
    let limits = |seconds| Limits {
        time: Some(Duration::from_secs(seconds)),
        ..Limits::default()
    };
    Lifetime {
        soft: limits(soft),
        hard: limits(hard),
    }
}

/// RFC 4301 section 4.4.2.1: a soft limit warns, and a hard limit stops the SA, in each direction.
/// Standard: lifetime
#[test]
fn packet_limits_apply_exactly() {
    let none = Lifetime::default();
    let (mut a, mut b) = both(packets(5, 8), none);
    assert_eq!(a.exchange(&frames(4)).len(), 4);
    assert_eq!(limits(&a), []);
    let sealed = a.exchange(&frames(10));
    assert_eq!(sealed.len(), 4, "8 in all");
    assert_eq!(a.totals().drops[DropReason::SaExpired], 6);
    a.work();
    // Both limits were reached in one burst: only the later stage is reported.
    assert_eq!(
        limits(&a),
        [limit(Direction::Outbound, LifetimeState::Expired)]
    );
    assert_eq!(b.exchange(&carry(sealed, 1)).len(), 4);
    assert_eq!(limits(&b), []);

    let (mut a, mut b) = both(none, packets(5, 8));
    let sealed = carry(a.exchange(&frames(20)), 1);
    assert_eq!(b.exchange(&sealed[..6]).len(), 6);
    assert_eq!(limits(&b), [limit(Direction::Inbound, LifetimeState::Due)]);
    assert_eq!(b.exchange(&sealed[6..]).len(), 2);
    assert_eq!(
        limits(&b),
        [limit(Direction::Inbound, LifetimeState::Expired)]
    );
    b.exchange(&sealed[19..]);
    assert_eq!(limits(&b), [], "reported once");
    let totals = b.finish();
    assert_eq!(totals.drops[DropReason::SaExpired], 13);
    assert_eq!((totals.sas.due, totals.sas.expired), (1, 1));
}

/// Standard: lifetime
#[test]
fn time_limits_are_checked_every_ten_milliseconds() {
    let (mut a, mut b) = both(seconds(10, 20), seconds(15, 25));
    let cross = |a: &mut Side, b: &mut Side| {
        let sealed = carry(a.exchange(&frames(1)), 1);
        b.exchange(&sealed).len()
    };
    let pass = |a: &mut Side, b: &mut Side, seconds| {
        for side in [a, b] {
            side.pass(Duration::from_secs(seconds));
            side.work();
        }
    };
    assert_eq!(cross(&mut a, &mut b), 1);
    pass(&mut a, &mut b, 10);
    assert_eq!(limits(&a), [limit(Direction::Outbound, LifetimeState::Due)]);
    assert_eq!(cross(&mut a, &mut b), 1, "a due SA still works");
    assert_eq!(limits(&a), [], "reported once");
    pass(&mut a, &mut b, 9);
    assert_eq!(cross(&mut a, &mut b), 1);
    assert_eq!(limits(&b), [limit(Direction::Inbound, LifetimeState::Due)]);
    let last = carry(a.exchange(&frames(1)), 1);
    pass(&mut a, &mut b, 1);
    assert_eq!(
        limits(&a),
        [limit(Direction::Outbound, LifetimeState::Expired)]
    );
    assert_eq!(cross(&mut a, &mut b), 0);
    assert_eq!(a.totals().drops[DropReason::SaExpired], 1);
    pass(&mut a, &mut b, 5);
    assert_eq!(b.exchange(&last).len(), 0, "too late");
    assert_eq!(b.totals().drops[DropReason::SaExpired], 1);

    // After a rekey the tunnel works again.
    let (tunnel, sa) = (0, inbound_of(1, 1).into());
    let reply = Reply::channel().0;
    let send = |side: &Side, command| side.control.send(command).expect("a worker");
    send(&b, Command::Install { tunnel, sa, reply });
    let sa = outbound_lasting(1, 2, 1, &Setup::default(), seconds(10, 20)).into();
    let reply = Reply::channel().0;
    send(&a, Command::Switch { tunnel, sa, reply });
    a.work();
    b.work();
    assert_eq!(cross(&mut a, &mut b), 1);
    // The time of the new SA starts with the switch.
    pass(&mut a, &mut b, 9);
    assert_eq!(limits(&a), []);
    let totals = a.finish();
    assert_eq!(totals.sas.switched, 1);
    assert_eq!(b.finish().sas.installed, 1);
}

/// The usage and the stage of an SA can be read from outside, even after the worker ended.
#[test]
fn the_meter_shows_usage_and_stage_of_an_sa() {
    let setup = Setup {
        reserved: 1000,
        ..Setup::default()
    };
    let mut near = config(1, &setup);
    near.tunnels[0].outbound = outbound_lasting(1, 2, 0, &setup, packets(3, 5)).into();
    let meter = near.tunnels[0].outbound.meter();
    let mut a = Side::with(near, &setup);
    assert_eq!(meter.lifetime_state(), LifetimeState::Active);
    a.exchange(&frames(3));
    a.work();
    assert_eq!(
        (meter.usage().packets, meter.lifetime_state()),
        (3, LifetimeState::Due)
    );
    // An inner packet of 68 bytes, pad length and next header, padded to a multiple of 4.
    assert_eq!(meter.usage().bytes, 3 * 72);
    assert_eq!(meter.sequences_remaining(), u64::MAX - 4);
    a.exchange(&frames(3));
    a.finish();
    assert_eq!(
        (meter.usage().packets, meter.lifetime_state()),
        (5, LifetimeState::Expired)
    );
}

/// RFC 4303 section 3.3.3: the end of the counter is reported once, and once in advance.
/// Standard: counter-audit
#[test]
fn the_end_of_the_sequence_numbers_is_reported_in_advance_and_at_the_end() {
    let limit_at = |stage| Limit {
        bound: Bound::SequenceNumbers,
        ..limit(Direction::Outbound, stage)
    };
    let with_remaining = |remaining| {
        let first = u64::MAX - remaining;
        let setup = Setup {
            first,
            ..Setup::default()
        };
        Side::new(1, &setup)
    };
    let mut a = with_remaining((1 << 28) + 2);
    a.exchange(&frames(1));
    a.work();
    assert_eq!(limits(&a), []);
    a.exchange(&frames(1));
    a.work();
    assert_eq!(limits(&a), [limit_at(LifetimeState::Due)]);
    a.exchange(&frames(3));
    a.work();
    assert_eq!(limits(&a), [], "reported once");

    let mut a = with_remaining(3);
    a.work();
    assert_eq!(limits(&a), [limit_at(LifetimeState::Due)]);
    assert_eq!(a.exchange(&frames(5)).len(), 3);
    a.work();
    assert_eq!(limits(&a), [limit_at(LifetimeState::Expired)]);
    a.exchange(&frames(5));
    a.work();
    assert_eq!(limits(&a), [], "reported once");
    let totals = a.finish();
    assert_eq!(totals.drops[DropReason::SequenceExhausted], 7);
    assert_eq!((totals.sas.due, totals.sas.expired), (1, 1));
}

/// A review covers only some of many idle SAs, and successive reviews cover all of them.
#[test]
fn each_of_many_idle_sas_expires() {
    const TUNNELS: usize = 300;
    let setup = Setup::default();
    let mut config = config(1, &setup);
    config.tunnels.clear();
    for n in 0..TUNNELS {
        let (from, epoch) = (3 * (n / 200) as u8, (n % 200) as u8);
        let prefix = host(false, 2, epoch).into();
        let mut tunnel = tunnel(1, 2, vec![prefix], &setup);
        tunnel.outbound = outbound_lasting(1 + from, 2, epoch, &setup, seconds(5, 60)).into();
        tunnel.inbound = inbound_lasting(2 + from, epoch, seconds(5, 60)).into();
        config.tunnels.push(tunnel);
    }
    let mut side = Side::with(config, &setup);
    for n in 0..200 {
        let sa = inbound_lasting(3, n, seconds(5, 60)).into();
        let tunnel = 0;
        let answer = side.request(|reply| Command::Install { tunnel, sa, reply });
        side.work();
        assert_eq!(answer.try_recv(), Ok(Ok(())));
    }
    let mut sweep = |wait| {
        side.pass(Duration::from_secs(wait));
        let mut reported = Vec::new();
        for _ in 0..10 {
            side.pass(Duration::from_millis(10));
            side.work();
            reported.extend(limits(&side));
        }
        reported
    };
    // The time of an SA starts with its first review.
    assert_eq!(sweep(0), []);
    for (wait, stage) in [(6, LifetimeState::Due), (60, LifetimeState::Expired)] {
        let reported = sweep(wait);
        let of = |direction| {
            let limits = reported.iter().filter(|limit| limit.direction == direction);
            assert!(limits.clone().all(|limit| limit.state == stage));
            limits.map(|limit| limit.spi).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(of(Direction::Outbound), TUNNELS);
        assert_eq!(of(Direction::Inbound), TUNNELS + 200);
        assert_eq!(reported.len(), 2 * TUNNELS + 200, "each once");
    }
}
