//! The numbers of messages between demux and gateway, with an attacker who records, drops, repeats and reorders.

use std::collections::HashSet;

use causeway_node::wire::{
    DemuxSession, GatewaySession, Outcome, ReplyDatagram, RequestDatagram, Verdict,
};
use causeway_rescale::message::{FromGateway, Reply, Request, ToGateway};
use proptest::prelude::*;

fn request(id: u64) -> ToGateway {
    ToGateway {
        id,
        peering: "vpc-2".into(),
        request: Request::Fence,
    }
}

fn reply(id: u64) -> FromGateway {
    FromGateway {
        id,
        boot: 0,
        reply: Reply::Fenced,
    }
}

/// Both ends, and all that was ever on the wire.
struct World {
    demux: DemuxSession,
    gateway: GatewaySession,
    /// Requests up to this one are those of an earlier process of the demux, of which the gateway has heard a newer one.
    dead: usize,
    boots: u64,
    next: u64,
    requests: Vec<RequestDatagram>,
    replies: Vec<ReplyDatagram>,
    obeyed: HashSet<(u64, u64)>,
}

impl World {
    fn new() -> Self {
        Self {
            demux: DemuxSession::new(1_000, 0),
            gateway: GatewaySession::new(1),
            dead: 0,
            boots: 1,
            next: 0,
            requests: Vec::new(),
            replies: Vec::new(),
            obeyed: HashSet::new(),
        }
    }

    fn send(&mut self) {
        self.next += 1;
        let datagram = self.demux.send(request(self.next));
        self.requests.push(datagram);
    }

    /// Delivers a recorded request. The law: no datagram is obeyed twice, and none of an earlier process of either end.
    fn deliver_request(&mut self, index: usize) -> Result<(), TestCaseError> {
        let datagram = self.requests[index].clone();
        let numbers = (datagram.incarnation, datagram.sequence);
        match self.gateway.receive(datagram) {
            Verdict::Obey(request) => {
                prop_assert!(index >= self.dead, "of an earlier process: {request:?}");
                prop_assert!(self.obeyed.insert(numbers), "obeyed again: {request:?}");
                let answer = self
                    .gateway
                    .answer(numbers, Outcome::Reply(reply(request.id)));
                self.replies.push(answer);
            }
            Verdict::Correct(reply) => self.replies.push(reply),
            Verdict::Repeated => {}
        }
        Ok(())
    }

    fn deliver_reply(&mut self, index: usize) {
        let _ = self.demux.receive(self.replies[index].clone());
    }

    /// An undisturbed request and its answer. Returns whether the request was obeyed.
    fn exchange(&mut self) -> Result<bool, TestCaseError> {
        self.send();
        let before = self.obeyed.len();
        let replies = self.replies.len();
        self.deliver_request(self.requests.len() - 1)?;
        if self.replies.len() > replies {
            self.deliver_reply(self.replies.len() - 1);
        }
        Ok(self.obeyed.len() > before)
    }

    /// Whatever happened: a request is obeyed once gateway and incarnation are known, and so is each one after it.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        let mut lost = 0;
        // A demux with the incarnation of an earlier one first comes to the numbers that are told apart.
        while !self.exchange()? {
            lost += 1;
            prop_assert!(lost < 200, "no request is obeyed");
        }
        prop_assert!(self.exchange()?);
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    /// Any recorded request, also one that arrived before.
    Request(prop::sample::Index),
    Reply(prop::sample::Index),
    /// A new process of the demux, whose clock may have been set.
    Demux(u64),
    Gateway,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Send),
        8 => any::<prop::sample::Index>().prop_map(Step::Request),
        8 => any::<prop::sample::Index>().prop_map(Step::Reply),
        1 => (0u64..3_000).prop_map(Step::Demux),
        1 => Just(Step::Gateway),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn no_recorded_request_is_obeyed_and_the_next_ones_are(steps in steps()) {
        let (mut world, mut salt) = (World::new(), 0);
        for step in steps {
            match step {
                Step::Send => world.send(),
                Step::Request(any) if !world.requests.is_empty() => {
                    world.deliver_request(any.index(world.requests.len()))?;
                }
                Step::Reply(any) if !world.replies.is_empty() => {
                    world.deliver_reply(any.index(world.replies.len()));
                }
                Step::Request(_) | Step::Reply(_) => {}
                Step::Demux(clock) => {
                    salt += 1;
                    world.demux = DemuxSession::new(clock, salt);
                    let first = world.requests.len();
                    world.settle()?;
                    world.dead = first;
                }
                Step::Gateway => {
                    world.boots += 1;
                    world.gateway = GatewaySession::new(world.boots);
                    world.obeyed.clear();
                    world.dead = world.requests.len();
                }
            }
        }
        world.settle()?;
    }
}

/// The demux of an earlier process is silent for good, whether the clock runs on or was set back.
#[test]
fn requests_of_an_earlier_process_are_corrected() {
    for clock in [2_000, 1_000, 10] {
        let mut world = World::new();
        world.exchange().unwrap();
        assert!(world.exchange().unwrap());
        world.send();
        let recorded = world.requests.len() - 1;
        world.demux = DemuxSession::new(clock, 1);
        world.settle().unwrap();
        let before = world.obeyed.len();
        world.deliver_request(recorded).unwrap();
        assert_eq!(world.obeyed.len(), before, "clock {clock}");
        // And the answer to it changes nothing.
        world.deliver_reply(world.replies.len() - 1);
        assert!(world.exchange().unwrap());
    }
}

/// Resent and reordered datagrams are obeyed once each; only what is left of the window is lost.
#[test]
fn requests_that_overtake_each_other_are_obeyed() {
    let mut world = World::new();
    world.exchange().unwrap();
    for _ in 0..200 {
        world.send();
    }
    let last = world.requests.len() - 1;
    for index in (1..=last).rev() {
        world.deliver_request(index).unwrap();
    }
    assert_eq!(world.obeyed.len(), 128);
}
