//! The queue of held packets on its own, under arbitrary sequences of begin, release, arrival and timeout.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use causeway_gateway::{Hold, Holds, Refused, Released};
use causeway_rescale::message::HoldTimeoutAction;
use causeway_steering::{DropReason, SteerHash};
use proptest::prelude::*;

/// The number of buckets. It is small, so that holds overlap.
const BUCKETS: u32 = 6;
const TUNNELS: usize = 2;
const LIMIT: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
enum Step {
    Begin {
        id: u64,
        tunnel: usize,
        buckets: Vec<u32>,
        send: bool,
    },
    Release(u64),
    Reset(usize),
    Arrive {
        tunnel: usize,
        bucket: u32,
    },
    ReleaseUpTo(usize),
    AdvanceTime(u64),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let buckets = prop::sample::subsequence((0..BUCKETS).collect::<Vec<_>>(), 1..4);
    let begin =
        (0u64..12, 0..TUNNELS, buckets, any::<bool>()).prop_map(|(id, tunnel, buckets, send)| {
            Step::Begin {
                id,
                tunnel,
                buckets,
                send,
            }
        });
    prop_oneof![
        3 => begin,
        2 => (0u64..12).prop_map(Step::Release),
        30 => (0..TUNNELS, 0..BUCKETS).prop_map(|(tunnel, bucket)| Step::Arrive { tunnel, bucket }),
        6 => (1usize..6).prop_map(Step::ReleaseUpTo),
        2 => (0u64..60).prop_map(Step::AdvanceTime),
        1 => (0..TUNNELS).prop_map(Step::Reset),
        1 => Just(Step::Clear),
    ]
}

/// A packet: tunnel, bucket and number.
type Packet = (usize, u32, u32);

/// The expected state of an active hold.
struct ExpectedHold {
    tunnel: usize,
    buckets: Vec<u32>,
    send: bool,
    until: Instant,
    released: bool,
}

struct World {
    now: Instant,
    bound: usize,
    holds: Holds<Packet>,
    known: BTreeMap<u64, ExpectedHold>,
    over: BTreeMap<u64, Released>,
    /// The number of the last packet sent, for each tunnel and bucket.
    last_sent: BTreeMap<(usize, u32), u32>,
    arrived: u32,
    sent: u64,
    dropped: u64,
}

impl World {
    fn hold(&self, id: u64, tunnel: usize, buckets: &[u32], send: bool) -> Hold {
        Hold {
            tunnel,
            id,
            buckets: buckets.iter().copied().collect(),
            hash: SteerHash::default(),
            until: self.now + LIMIT,
            hold_timeout_action: if send {
                HoldTimeoutAction::Send
            } else {
                HoldTimeoutAction::Drop
            },
        }
    }

    fn is_held(&self, (tunnel, bucket, _): Packet) -> bool {
        let holds = |known: &ExpectedHold| {
            let send = known.send && self.now >= known.until;
            known.tunnel == tunnel && known.buckets.contains(&bucket) && !known.released && !send
        };
        self.known.values().any(holds)
    }

    /// Processes a packet that arrived, or that a hold before the place `from` released.
    fn process(&mut self, packet: Packet, from: usize) {
        let (tunnel, bucket, number) = packet;
        if let Some(place) = self.holds.find(from, tunnel, |_| bucket) {
            if let Err((_, reason)) = self.holds.keep(place, packet) {
                let overdue = |known: &ExpectedHold| self.now >= known.until;
                match reason {
                    DropReason::HoldFull => assert_eq!(self.holds.kept(), self.bound),
                    DropReason::HoldExpired => assert!(self.known.values().any(overdue)),
                    other => panic!("{other:?}"),
                }
                self.dropped += 1;
            }
            return;
        }
        assert!(
            !self.is_held(packet),
            "{packet:?} was sent while it was held"
        );
        let last = self.last_sent.insert((tunnel, bucket), number);
        assert!(last.is_none_or(|last| last < number), "out of order");
        self.sent += 1;
    }

    fn release_up_to(&mut self, most: usize) {
        for _ in 0..most {
            let Some((packet, from)) = self.holds.pop() else {
                break;
            };
            self.process(packet, from);
        }
        while let Some((id, count)) = self.holds.end() {
            self.known.remove(&id).expect("a hold that was begun");
            self.over.insert(id, count);
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Begin {
                id,
                tunnel,
                ref buckets,
                send,
            } => {
                let hold = self.hold(id, tunnel, buckets, send);
                let until = hold.until;
                let begun = self.holds.begin(hold);
                if self.over.contains_key(&id) {
                    assert_eq!(begun, Err(Refused::HoldEnded { id }));
                    return;
                }
                assert_eq!(begun, Ok(()));
                // Beginning a hold again has no effect.
                self.known.entry(id).or_insert(ExpectedHold {
                    tunnel,
                    buckets: buckets.clone(),
                    send,
                    until,
                    released: false,
                });
            }
            Step::Release(id) => {
                let released = self.holds.release(id);
                match (self.known.get_mut(&id), self.over.get(&id)) {
                    (Some(known), _) => {
                        known.released = true;
                        assert_eq!(released, Ok(None));
                    }
                    (None, Some(&over)) => assert_eq!(released, Ok(Some(over))),
                    (None, None) => assert_eq!(released, Err(Refused::NoSuchHold { id })),
                }
            }
            Step::Reset(tunnel) => {
                self.holds.release_all(tunnel);
                let of_tunnel = self.known.values_mut().filter(|k| k.tunnel == tunnel);
                of_tunnel.for_each(|known| known.released = true);
            }
            Step::Arrive { tunnel, bucket } => {
                self.arrived += 1;
                self.process((tunnel, bucket, self.arrived), 0);
            }
            Step::ReleaseUpTo(most) => self.release_up_to(most),
            Step::AdvanceTime(milliseconds) => {
                self.now += Duration::from_millis(milliseconds);
                let mut dropped = 0;
                self.holds.expire(self.now, |_| dropped += 1);
                self.dropped += dropped;
            }
            Step::Clear => {
                let mut dropped = 0;
                self.holds.clear(|_| dropped += 1);
                self.dropped += dropped;
                assert_eq!(self.holds.kept(), 0);
            }
        }
        assert!(self.holds.kept() <= self.bound);
        assert_eq!(self.holds.is_empty(), self.known.is_empty());
        let kept = self.holds.kept() as u64;
        assert_eq!(u64::from(self.arrived), self.sent + self.dropped + kept);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Packets of a bucket leave in the order of their arrival, and none leaves while a hold has the bucket. After all
    /// holds are released, none is left. Each packet is counted once, and each drop has a reason.
    #[test]
    fn order_is_kept_and_every_packet_is_counted(
        steps in prop::collection::vec(step(), 1..120),
        bound in 1usize..24,
    ) {
        let mut world = World {
            now: Instant::now(),
            bound,
            holds: Holds::new(bound),
            known: BTreeMap::new(),
            over: BTreeMap::new(),
            last_sent: BTreeMap::new(),
            arrived: 0,
            sent: 0,
            dropped: 0,
        };
        steps.iter().for_each(|step| world.step(step));
        (0..TUNNELS).for_each(|tunnel| world.step(&Step::Reset(tunnel)));
        world.step(&Step::ReleaseUpTo(usize::MAX));
        prop_assert!(world.holds.is_empty() && world.known.is_empty());
        // A packet that moved from one hold to another counts for both. A dropped packet counts for one.
        prop_assert_eq!(world.over.values().map(|count| count.dropped).sum::<u64>(), world.dropped);
        prop_assert!(world.over.values().all(|count| count.dropped <= count.packets));
    }
}

#[test]
fn an_expired_hold_that_is_never_released_ends_after_a_while() {
    let mut holds = Holds::new(4);
    let start = Instant::now();
    let hold = Hold {
        tunnel: 0,
        id: 7,
        buckets: [1].into_iter().collect(),
        hash: SteerHash::default(),
        until: start + LIMIT,
        hold_timeout_action: HoldTimeoutAction::Drop,
    };
    holds.begin(hold.clone()).expect("room for one");
    holds.keep(0, 'a').expect("room for a frame");
    let expire = |after, holds: &mut Holds<char>| {
        let mut dropped = Vec::new();
        let expired = holds.expire(start + after, |frame| dropped.push(frame));
        (expired, dropped)
    };
    assert_eq!(expire(LIMIT / 2, &mut holds), (0, vec![]));
    assert_eq!(expire(LIMIT, &mut holds), (1, vec!['a']));
    assert_eq!(holds.keep(0, 'b'), Err(('b', DropReason::HoldExpired)));
    assert_eq!(expire(LIMIT * 90, &mut holds), (0, vec![]));
    assert_eq!(holds.end(), None);
    assert_eq!(expire(LIMIT * 101, &mut holds), (0, vec![]));
    let count = Released {
        packets: 2,
        dropped: 2,
    };
    assert_eq!(holds.end(), Some((7, count)));
    assert!(holds.is_empty());

    for id in 10..26 {
        holds
            .begin(Hold { id, ..hold.clone() })
            .expect("room for sixteen");
    }
    let refused = holds.begin(hold.clone());
    assert_eq!(refused, Err(Refused::HoldEnded { id: 7 }));
    let refused = holds.begin(Hold { id: 8, ..hold });
    assert_eq!(refused, Err(Refused::TooManyHolds { most: 16 }));
}
