//! A responder with two workers, each connected to a worker of the peer.

use std::net::IpAddr;
use std::sync::{Mutex, mpsc};

use causeway_rescale::message::{HoldTimeoutAction, TableId};
use causeway_rescale::{BucketSet, Ordinal};

use super::*;
use crate::sas::SaTemplate;
use crate::wire::parse_packet;

// The fixtures of the worker's own tests, used in part.
#[allow(dead_code)]
#[path = "../../../../gateway/tests/worker/side.rs"]
mod side;
use causeway_gateway::Demuxes;
use side::{FAMILIES, Setup, Side, address, carry, host};

struct World {
    responder: Responder,
    pairs: [(Side, Side); 2],
    replies: (mpsc::Sender<FromGateway>, mpsc::Receiver<FromGateway>),
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self::with(ends(false))
    }

    /// Workers of peers that know the ends of messages.
    fn with((from, to): (IpAddr, IpAddr)) -> Self {
        let far = Setup {
            demuxes: Some(Demuxes {
                own: to.into(),
                peer: from.into(),
            }),
            ..Setup::default()
        };
        let pairs = [(); 2].map(|()| (Side::new(1, &Setup::default()), Side::new(2, &far)));
        let workers = (0..).zip(&pairs).map(|(id, (near, _))| {
            Arc::new(WorkerHandle {
                gateway: "gateway-1".to_owned(),
                id,
                core: None,
                control: near.control.clone(),
                templates: vec![SaTemplate::for_test("vpc-2")],
                reserved: Mutex::default(),
            })
        });
        let auth = Arc::new(MessageAuth::new(b"0123456789abcdef", &[]));
        let hash = SteerHash::new([7; 16]);
        Self {
            responder: Responder::new(77, auth, hash, workers.collect()),
            now: Instant::now(),
            replies: mpsc::channel(),
            pairs,
        }
    }

    fn request(&mut self, id: u64, request: Request) {
        let request = ToGateway {
            id,
            peering: "vpc-2".to_owned(),
            request,
        };
        let replies = self.replies.0.clone();
        let respond = Box::new(move |reply| replies.send(reply).expect("the test waits"));
        self.responder.handle(self.now, request, respond);
    }

    /// Runs the workers once. Returns the messages that the peer's demux receives, by worker.
    fn work(&mut self) -> [Vec<PeerMessage>; 2] {
        let received = self.pairs.each_mut().map(|(near, far)| {
            far.exchange(&carry(near.work(), 1));
            let auth = &self.responder.auth;
            let messages = std::iter::from_fn(|| far.control.messages.try_recv().ok());
            messages
                .map(|message| {
                    let packet =
                        parse_packet(message.packet()).expect("a packet from demux to demux");
                    let ends = Ends {
                        from: packet.from,
                        to: packet.to,
                    };
                    auth.decode(ends, packet.payload)
                        .expect("a message of the responder")
                })
                .collect()
        });
        self.responder.poll(self.now);
        received
    }

    fn replies(&mut self) -> Vec<(u64, Reply)> {
        let replies = self.replies.1.try_iter();
        replies
            .map(|reply| {
                assert_eq!(reply.boot, 77);
                (reply.id, reply.reply)
            })
            .collect()
    }

    /// Sends a request and checks that the reply follows the answers of all workers.
    fn check(&mut self, id: u64, request: Request, reply: Reply) {
        self.request(id, request);
        assert_eq!(self.replies(), [], "a reply before the workers' answers");
        self.work();
        assert_eq!(self.replies(), [(id, reply)]);
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

/// The address of a demux beside the gateway, and that of a demux behind the peer's NIC.
fn ends(v6: bool) -> (IpAddr, IpAddr) {
    (host(v6, 1, 100), address(v6, 2))
}

fn hold() -> Request {
    Request::Hold {
        buckets: (0..causeway_steering::BUCKETS).collect::<BucketSet>(),
        limit_ms: 1_000,
        hold_timeout_action: HoldTimeoutAction::Drop,
    }
}

#[test]
fn each_worker_sends_its_marker_and_sends_it_again_for_a_resent_request() {
    for v6 in FAMILIES {
        let (from, to) = ends(v6);
        let mut world = World::with((from, to));
        for _ in 0..2 {
            let marker = marker(9);
            world.request(9, Request::Mark { from, to, marker });
            let of = |worker| {
                vec![PeerMessage::Marker(Marker {
                    worker,
                    workers: 2,
                    ..marker
                })]
            };
            assert_eq!(world.work(), [of(0), of(1)]);
            assert_eq!(world.replies(), [(9, Reply::Sealed)]);
        }
    }
}

#[test]
fn one_worker_sends_a_peer_message() {
    let mut world = World::new();
    let (from, to) = ends(false);
    let message = PeerMessage::Fence {
        id: 1,
        pair: Ordinal(0),
    };
    let sent = message.clone();
    world.request(9, Request::SendToPeer { from, to, message });
    assert_eq!(world.work(), [vec![sent], vec![]]);
    assert_eq!(world.replies(), [(9, Reply::Sealed)]);
}

#[test]
fn a_resent_request_is_handled_once() {
    let mut world = World::new();
    world.check(1, hold(), Reply::Held);
    let released = Reply::Released {
        packets: 0,
        dropped: 0,
    };
    world.check(2, Request::Release { hold: 1 }, released);
    world.check(3, Request::Fence, Reply::Fenced);
    world.check(4, Request::Lift, Reply::Lifted);
    world.check(5, Request::Reset, Reply::ResetDone);
    // Requests that arrive again get the same reply, and no worker gets a command.
    for (id, request, reply) in [
        (1, hold(), Reply::Held),
        (3, Request::Fence, Reply::Fenced),
        (5, Request::Reset, Reply::ResetDone),
    ] {
        world.request(id, request);
        assert_eq!(world.replies(), [(id, reply)]);
        assert!(world.responder.pending.is_empty());
    }
}

#[test]
fn a_request_that_is_resent_while_pending_gets_one_reply() {
    let mut world = World::new();
    world.request(1, Request::Fence);
    world.request(1, Request::Fence);
    world.work();
    assert_eq!(world.replies(), [(1, Reply::Fenced)]);
}

#[test]
fn a_reply_needs_the_answers_of_all_workers() {
    let mut world = World::new();
    world.request(1, Request::Fence);
    world.pairs[0].0.work();
    world.responder.poll(world.now);
    assert_eq!(world.replies(), []);
    // A stalled worker causes no reply, and the number of its pending requests is bounded.
    world.now += ANSWER_TIMEOUT;
    world.responder.poll(world.now);
    assert_eq!(world.replies(), []);
    assert!(world.responder.pending.is_empty());
    for id in 0..2 * MAX_PENDING as u64 {
        world.request(100 + id, Request::Lift);
    }
    assert_eq!(world.responder.pending.len(), MAX_PENDING);
}

#[test]
fn a_release_of_an_unknown_hold_succeeds() {
    let mut world = World::new();
    let released = Reply::Released {
        packets: 0,
        dropped: 0,
    };
    world.check(2, Request::Release { hold: 1 }, released);
}

#[test]
fn a_refusal_has_its_reason() {
    let mut world = World::new();
    let replies = world.replies.0.clone();
    let request = ToGateway {
        id: 1,
        peering: "n".repeat(1_000),
        request: Request::Fence,
    };
    let respond = Box::new(move |reply| replies.send(reply).expect("the test waits"));
    world.responder.handle(world.now, request, respond);
    let replies = world.replies();
    let [(1, Reply::Refused { why })] = &replies[..] else {
        panic!("{replies:?}");
    };
    assert!(why.starts_with("the gateway has no tunnel of peering") && why.len() <= MAX_ERROR);

    let (from, _) = ends(false);
    let (_, to) = ends(true);
    let marker = marker(1);
    world.request(2, Request::Mark { from, to, marker });
    let replies = world.replies();
    assert!(
        matches!(&replies[..], [(2, Reply::Refused { .. })]),
        "{replies:?}"
    );
}
