//! A worker's profile: packets and time by stage, burst sizes and ring occupancy.

use causeway_gateway::{Bursts, Profile, Rings, Room, Share, Stage};
use proptest::prelude::*;

use crate::packet::Packet;
use crate::side::{Setup, Side, both, carry, gateway_mac};

/// The sampling interval, in rounds that received packets.
const EVERY: u64 = 31;
/// The burst size.
const BURST: usize = 8;

/// The expected profile, without times, after these numbers of packets arrived one after the other.
fn model(arrivals: &[usize], sealed: bool) -> Profile {
    let setup = Setup::default();
    let mut profile = Profile::default();
    let mut rounds = 0;
    for &arrived in arrivals {
        let mut unread = arrived;
        while unread > 0 {
            let burst = unread.min(BURST);
            let class = Bursts::BOUNDS.iter().position(|&most| burst as u64 <= most);
            profile.bursts.0[class.expect("the last class is unbounded")] += 1;
            rounds += 1;
            if rounds % EVERY == 0 {
                for stage in Stage::ALL {
                    let covered = match stage {
                        Stage::Seal => sealed,
                        Stage::Open => !sealed,
                        _ => true,
                    };
                    profile.stages[stage].packets += if covered { burst as u64 } else { 0 };
                }
                profile.rings.samples += 1;
                profile.rings.receive += unread as u64;
                profile.rings.fill += (setup.frames / 2 - unread) as u64;
                profile.rings.room = Room {
                    receive: setup.ring as u64,
                    fill: setup.frames as u64 / 2,
                    transmit: setup.ring as u64,
                };
            }
            unread -= burst;
        }
    }
    profile
}

/// The worker's profile, without times.
fn measured(side: &Side) -> Profile {
    let mut profile = side.control.counters.profile();
    for stage in Stage::ALL {
        let Share { packets, .. } = profile.stages[stage];
        profile.stages[stage] = Share {
            packets,
            nanoseconds: 0,
        };
    }
    profile
}

fn frames(count: usize) -> Vec<Vec<u8>> {
    let packet = |number| Packet::udp([10, 1, 0, 2], [10, 2, 0, 3], &[number as u8; 30]);
    (0..count)
        .map(|number| packet(number).frame(gateway_mac(1)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_profile_matches_the_model(
        arrivals in prop::collection::vec(0usize..30, 1..150),
    ) {
        let (mut a, mut b) = both(&Setup::default());
        for &count in &arrivals {
            let sealed = a.exchange(&frames(count));
            prop_assert_eq!(sealed.len(), count);
            let opened = b.exchange(&carry(sealed, 1));
            prop_assert_eq!(opened.len(), count);
        }
        prop_assert_eq!(measured(&a), model(&arrivals, true));
        prop_assert_eq!(measured(&b), model(&arrivals, false));
    }
}

#[test]
fn rounds_without_packets_are_not_sampled() {
    let mut side = Side::new(1, &Setup::default());
    for _ in 0..EVERY {
        side.exchange(&frames(1));
    }
    let before = side.control.counters.profile();
    assert_eq!(before.rings.samples, 1);
    // Many empty rounds precede the next sampled round.
    for _ in 1..EVERY {
        side.exchange(&frames(1));
    }
    for _ in 0..100 {
        side.work();
    }
    let idle = side.control.counters.profile();
    assert_eq!(
        (idle.stages, idle.rings),
        (before.stages, before.rings),
        "no packet arrived"
    );
    side.exchange(&frames(1));
    let after = side.control.counters.profile();
    assert_eq!(
        after.rings,
        Rings {
            samples: 2,
            receive: 2,
            ..after.rings
        }
    );
    let totals = side.totals();
    assert_eq!(totals.rounds - totals.empty_rounds, 2 * EVERY);
}
