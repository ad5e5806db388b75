//! SAs that grow old.

use std::collections::BTreeSet;
use std::time::Duration;

use causeway_esp::{Lifetime, Limits, Stage};
use causeway_gateway::{Bound, Command, Direction, Event, Limit, Reply};
use causeway_steering::Drop;

use crate::packet::Packet;
use crate::side::{
    Setup, Side, carry, config, gateway_mac, host, inbound_lasting, inbound_of, outbound_lasting,
    spi, tunnel,
};

fn frames(count: usize) -> Vec<Vec<u8>> {
    let packet = Packet::udp([10, 1, 0, 2], [10, 2, 0, 2], &[0; 40]);
    vec![packet.frame(gateway_mac(1)); count]
}

/// Both gateways; what VPC 1 sends is sealed and opened under SAs of these lifetimes.
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

fn limit(direction: Direction, stage: Stage) -> Limit {
    Limit {
        tunnel: 0,
        direction,
        spi: spi(1, 0),
        stage,
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

/// RFC 4301 section 4.4.2.1: a soft limit warns, a hard one stops the SA, in each direction.
/// Standard: lifetime
#[test]
fn packets_count_to_the_last_one() {
    let none = Lifetime::default();
    let (mut a, mut b) = both(packets(5, 8), none);
    assert_eq!(a.exchange(&frames(4)).len(), 4);
    assert_eq!(limits(&a), []);
    let sealed = a.exchange(&frames(10));
    assert_eq!(sealed.len(), 4, "8 in all");
    assert_eq!(a.totals().drops[Drop::SaExpired], 6);
    a.work();
    // Both limits fell within one batch: the later stage is told.
    assert_eq!(limits(&a), [limit(Direction::Outbound, Stage::Expired)]);
    assert_eq!(b.exchange(&carry(sealed, 1)).len(), 4);
    assert_eq!(limits(&b), []);

    let (mut a, mut b) = both(none, packets(5, 8));
    let sealed = carry(a.exchange(&frames(20)), 1);
    assert_eq!(b.exchange(&sealed[..6]).len(), 6);
    assert_eq!(limits(&b), [limit(Direction::Inbound, Stage::Due)]);
    assert_eq!(b.exchange(&sealed[6..]).len(), 2);
    assert_eq!(limits(&b), [limit(Direction::Inbound, Stage::Expired)]);
    b.exchange(&sealed[19..]);
    assert_eq!(limits(&b), [], "told once");
    let totals = b.finish();
    assert_eq!(totals.drops[Drop::SaExpired], 13);
    assert_eq!((totals.sas.due, totals.sas.expired), (1, 1));
}

/// Standard: lifetime
#[test]
fn time_is_looked_at_every_ten_milliseconds() {
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
    assert_eq!(limits(&a), [limit(Direction::Outbound, Stage::Due)]);
    assert_eq!(cross(&mut a, &mut b), 1, "it goes on");
    assert_eq!(limits(&a), [], "told once");
    pass(&mut a, &mut b, 9);
    assert_eq!(cross(&mut a, &mut b), 1);
    assert_eq!(limits(&b), [limit(Direction::Inbound, Stage::Due)]);
    let last = carry(a.exchange(&frames(1)), 1);
    pass(&mut a, &mut b, 1);
    assert_eq!(limits(&a), [limit(Direction::Outbound, Stage::Expired)]);
    assert_eq!(cross(&mut a, &mut b), 0);
    assert_eq!(a.totals().drops[Drop::SaExpired], 1);
    pass(&mut a, &mut b, 5);
    assert_eq!(b.exchange(&last).len(), 0, "too late");
    assert_eq!(b.totals().drops[Drop::SaExpired], 1);

    // A new key, and it carries again.
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
    // Its time counts from the switch.
    pass(&mut a, &mut b, 9);
    assert_eq!(limits(&a), []);
    let totals = a.finish();
    assert_eq!(totals.sas.switched, 1);
    assert_eq!(b.finish().sas.installed, 1);
}

/// What an SA has carried and where it stands can be read from outside, and after its end.
#[test]
fn the_meter_tells_how_far_an_sa_is() {
    let setup = Setup {
        reserved: 1000,
        ..Setup::default()
    };
    let mut near = config(1, &setup);
    near.tunnels[0].outbound = outbound_lasting(1, 2, 0, &setup, packets(3, 5)).into();
    let meter = near.tunnels[0].outbound.meter();
    let mut a = Side::with(near, &setup);
    assert_eq!(meter.stage(), Stage::Young);
    a.exchange(&frames(3));
    a.work();
    assert_eq!((meter.usage().packets, meter.stage()), (3, Stage::Due));
    // An inner packet of 68 octets, its pad length and its next header, in whole words.
    assert_eq!(meter.usage().bytes, 3 * 72);
    assert_eq!(meter.sequences_remaining(), u64::MAX - 4);
    a.exchange(&frames(3));
    a.finish();
    assert_eq!((meter.usage().packets, meter.stage()), (5, Stage::Expired));
}

/// RFC 4303 section 3.3.3: the end of the counter is told, once, and before it comes.
/// Standard: counter-audit
#[test]
fn the_end_of_the_numbers_is_told_before_and_when_it_comes() {
    let told = |stage| Limit {
        bound: Bound::SequenceNumbers,
        ..limit(Direction::Outbound, stage)
    };
    let left = |left| {
        let first = u64::MAX - left;
        let setup = Setup {
            first,
            ..Setup::default()
        };
        Side::new(1, &setup)
    };
    let mut a = left((1 << 28) + 2);
    a.exchange(&frames(1));
    a.work();
    assert_eq!(limits(&a), []);
    a.exchange(&frames(1));
    a.work();
    assert_eq!(limits(&a), [told(Stage::Due)]);
    a.exchange(&frames(3));
    a.work();
    assert_eq!(limits(&a), [], "told once");

    let mut a = left(3);
    a.work();
    assert_eq!(limits(&a), [told(Stage::Due)]);
    assert_eq!(a.exchange(&frames(5)).len(), 3);
    a.work();
    assert_eq!(limits(&a), [told(Stage::Expired)]);
    a.exchange(&frames(5));
    a.work();
    assert_eq!(limits(&a), [], "told once");
    let totals = a.finish();
    assert_eq!(totals.drops[Drop::SequenceExhausted], 7);
    assert_eq!((totals.sas.due, totals.sas.expired), (1, 1));
}

/// Only some of many idle SAs are looked at each time, and in the end all of them.
#[test]
fn each_of_many_idle_sas_grows_old() {
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
        let answer = side.tell(|reply| Command::Install { tunnel, sa, reply });
        side.work();
        assert_eq!(answer.try_recv(), Ok(Ok(())));
    }
    let mut sweep = |wait| {
        side.pass(Duration::from_secs(wait));
        let mut told = Vec::new();
        for _ in 0..10 {
            side.pass(Duration::from_millis(10));
            side.work();
            told.extend(limits(&side));
        }
        told
    };
    // They live from when they are looked at first.
    assert_eq!(sweep(0), []);
    for (wait, stage) in [(6, Stage::Due), (60, Stage::Expired)] {
        let told = sweep(wait);
        let of = |direction| {
            let told = told.iter().filter(|limit| limit.direction == direction);
            assert!(told.clone().all(|limit| limit.stage == stage));
            told.map(|limit| limit.spi).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(of(Direction::Outbound), TUNNELS);
        assert_eq!(of(Direction::Inbound), TUNNELS + 200);
        assert_eq!(told.len(), 2 * TUNNELS + 200, "each once");
    }
}
