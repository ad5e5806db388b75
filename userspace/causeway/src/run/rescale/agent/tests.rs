//! The agent of a gateway with two workers, whose tunnels lead to two of the peer's.

use std::net::IpAddr;
use std::sync::mpsc;

use causeway_rescale::message::{AtLimit, TableId};
use causeway_rescale::{BucketSet, Ordinal};

use super::*;
use crate::wire::parse;

// The fixtures of the worker's own tests; used in part.
#[allow(dead_code)]
#[path = "../../../../../gateway/tests/worker/side.rs"]
mod side;
use side::{FAMILIES, Setup, Side, address, both, carry, host};

struct World {
    agent: Agent,
    pairs: [(Side, Side); 2],
    answers: (mpsc::Sender<FromGateway>, mpsc::Receiver<FromGateway>),
    now: Instant,
}

impl World {
    fn new() -> Self {
        let pairs = [both(&Setup::default()), both(&Setup::default())];
        let seats = pairs.iter().map(|(near, _)| Seat {
            control: near.control.clone(),
            peerings: vec!["vpc-2".to_owned()],
        });
        let seals = Arc::new(Seals::new(b"0123456789abcdef"));
        let hash = SteerHash::new([7; 16]);
        Self {
            agent: Agent::new(77, seals, hash, seats.collect()),
            now: Instant::now(),
            answers: mpsc::channel(),
            pairs,
        }
    }

    fn ask(&mut self, id: u64, request: Request) {
        let asked = ToGateway {
            id,
            peering: "vpc-2".to_owned(),
            request,
        };
        let tell = self.answers.0.clone();
        let answer = Box::new(move |said| tell.send(said).expect("the test waits"));
        self.agent.ask(self.now, asked, answer);
    }

    /// Lets the workers obey. What the peer's demux hears, by worker.
    fn work(&mut self) -> [Vec<PeerWord>; 2] {
        let heard = self.pairs.each_mut().map(|(near, far)| {
            far.exchange(&carry(near.work(), 1));
            let seals = &self.agent.seals;
            let words = std::iter::from_fn(|| far.control.words.try_recv().ok());
            words
                .map(|word| {
                    let packet = parse(word.packet()).expect("a packet from demux to demux");
                    seals.open(packet.payload).expect("sealed by the agent")
                })
                .collect()
        });
        self.agent.settle(self.now);
        heard
    }

    fn answered(&mut self) -> Vec<(u64, Reply)> {
        let said = self.answers.1.try_iter();
        said.map(|said| {
            assert_eq!(said.boot, 77);
            (said.id, said.reply)
        })
        .collect()
    }

    /// What is asked is done by all workers, and answered so.
    fn obeys(&mut self, id: u64, request: Request, reply: Reply) {
        self.ask(id, request);
        assert_eq!(self.answered(), [], "answered before the workers did");
        self.work();
        assert_eq!(self.answered(), [(id, reply)]);
    }
}

fn marker(id: u64) -> Marker {
    Marker {
        id,
        pair: Ordinal(2),
        worker: 0,
        workers: 0,
        table: TableId {
            epoch: 3,
            digest: 4,
            before: 5,
        },
    }
}

/// From a demux beside the gateway to one that is behind the peer's own NIC.
fn ends(v6: bool) -> (IpAddr, IpAddr) {
    (host(v6, 1, 100), address(v6, 2))
}

fn hold() -> Request {
    Request::Hold {
        buckets: (0..causeway_steering::BUCKETS).collect::<BucketSet>(),
        limit_ms: 1_000,
        at_limit: AtLimit::Drop,
    }
}

#[test]
fn each_worker_sends_its_marker_and_sends_it_again_when_asked_again() {
    for v6 in FAMILIES {
        let mut world = World::new();
        let (from, to) = ends(v6);
        for _ in 0..2 {
            let marker = marker(9);
            world.ask(9, Request::Mark { from, to, marker });
            let of = |worker| {
                vec![PeerWord::Marker(Marker {
                    worker,
                    workers: 2,
                    ..marker
                })]
            };
            assert_eq!(world.work(), [of(0), of(1)]);
            assert_eq!(world.answered(), [(9, Reply::Sealed)]);
        }
    }
}

#[test]
fn a_word_goes_out_once() {
    let mut world = World::new();
    let (from, to) = ends(false);
    let word = PeerWord::Fence {
        id: 1,
        pair: Ordinal(0),
    };
    let carried = word.clone();
    world.ask(9, Request::Carry { from, to, word });
    assert_eq!(world.work(), [vec![carried], vec![]]);
    assert_eq!(world.answered(), [(9, Reply::Sealed)]);
}

#[test]
fn what_is_heard_twice_is_done_once() {
    let mut world = World::new();
    world.obeys(1, hold(), Reply::Held);
    let released = Reply::Released {
        packets: 0,
        dropped: 0,
    };
    world.obeys(2, Request::Release { hold: 1 }, released);
    world.obeys(3, Request::Fence, Reply::Fenced);
    world.obeys(4, Request::Lift, Reply::Lifted);
    world.obeys(5, Request::Reset, Reply::ResetDone);
    // They come late and again: answered, and no worker hears of them.
    for (id, request, reply) in [
        (1, hold(), Reply::Held),
        (3, Request::Fence, Reply::Fenced),
        (5, Request::Reset, Reply::ResetDone),
    ] {
        world.ask(id, request);
        assert_eq!(world.answered(), [(id, reply)]);
        assert!(world.agent.under_way.is_empty());
    }
}

#[test]
fn a_repeat_while_workers_obey_is_answered_once() {
    let mut world = World::new();
    world.ask(1, Request::Fence);
    world.ask(1, Request::Fence);
    world.work();
    assert_eq!(world.answered(), [(1, Reply::Fenced)]);
}

#[test]
fn all_workers_must_obey() {
    let mut world = World::new();
    world.ask(1, Request::Fence);
    world.pairs[0].0.work();
    world.agent.settle(world.now);
    assert_eq!(world.answered(), []);
    // Nobody answers for a worker that stands still, and what is asked of it does not pile up.
    world.now += ANSWER_WITHIN;
    world.agent.settle(world.now);
    assert_eq!(world.answered(), []);
    assert!(world.agent.under_way.is_empty());
    for id in 0..2 * UNDER_WAY as u64 {
        world.ask(100 + id, Request::Lift);
    }
    assert_eq!(world.agent.under_way.len(), UNDER_WAY);
}

#[test]
fn a_worker_that_was_started_anew_has_nothing_to_release() {
    let mut world = World::new();
    let released = Reply::Released {
        packets: 0,
        dropped: 0,
    };
    world.obeys(2, Request::Release { hold: 1 }, released);
}

#[test]
fn a_refusal_says_why() {
    let mut world = World::new();
    let tell = world.answers.0.clone();
    let asked = ToGateway {
        id: 1,
        peering: "n".repeat(1_000),
        request: Request::Fence,
    };
    let answer = Box::new(move |said| tell.send(said).expect("the test waits"));
    world.agent.ask(world.now, asked, answer);
    let answered = world.answered();
    let [(1, Reply::Refused { why })] = &answered[..] else {
        panic!("{answered:?}");
    };
    assert!(why.starts_with("the gateway has no tunnel of peering") && why.len() <= SENTENCE);

    let (from, _) = ends(false);
    let (_, to) = ends(true);
    let marker = marker(1);
    world.ask(2, Request::Mark { from, to, marker });
    let answered = world.answered();
    assert!(
        matches!(&answered[..], [(2, Reply::Refused { .. })]),
        "{answered:?}"
    );
}
