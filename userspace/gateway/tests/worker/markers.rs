//! Markers, delivery of peer messages after earlier packets, and fences.

use std::time::{Duration, Instant};

use causeway_device::memory;
use causeway_gateway::{Command, Refused, Reply, Worker};
use causeway_rescale::message::{LONGEST_PACKET, PORT};
use causeway_steering::DropReason;
use crossbeam::channel::TryRecvError;

use crate::control::Stuck;
use crate::packet::Packet;
use crate::side::{
    FAMILIES, MAX_INNER, Setup, Side, address, both, carry, config, gateway_mac, host, routes,
};

/// A numbered packet to a host of VPC 2.
fn frame(to: u8, number: u8) -> Vec<u8> {
    Packet::udp([10, 1, 0, 2], [10, 2, 0, to], &[number; 40]).frame(gateway_mac(1))
}

/// A peer message to a host of VPC 2, or to the address of its gateway.
fn message(v6: bool, to: Option<u8>, number: u8) -> Packet {
    let to = to.map_or(address(v6, 2), |to| host(v6, 2, to));
    Packet::udp(host(v6, 1, 100), to, &[number; 40]).with_ports(PORT)
}

/// Lets control send a message in the opposite direction of `message`, from which the worker knows the ends of messages.
pub fn meet(side: &mut Side, message: &Packet) {
    let _ = side.request(mark(&answer(message), false));
    side.work();
}

fn answer(message: &Packet) -> Packet {
    Packet {
        source: message.destination,
        destination: message.source,
        ..message.clone()
    }
}

/// The command that seals a peer message.
fn mark(message: &Packet, behind: bool) -> impl FnOnce(Reply) -> Command {
    let packet = message.ip();
    move |reply| Command::Mark {
        tunnel: 0,
        packet,
        behind,
        reply,
    }
}

fn fence(fenced: bool) -> impl FnOnce(Reply) -> Command {
    move |reply| Command::Fence {
        tunnel: 0,
        fenced,
        reply,
    }
}

/// The numbers in the payloads of IPv4 packets.
fn numbers(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().map(|frame| frame[14 + 28]).collect()
}

#[test]
fn a_marker_is_sealed_after_all_packets_that_had_arrived() {
    let setup = Setup {
        burst: 4,
        ..Setup::default()
    };
    let mut near = Side::new(1, &setup);
    let mut far = Side::new(2, &Setup::default());
    for number in 0..10 {
        assert!(near.wire.inject(&frame(2, number)));
    }
    let marker = message(false, Some(3), 100);
    let sealed = near.request(mark(&marker, true));
    let carried = near.request(mark(&message(false, Some(3), 101), false));
    let mut out = Vec::new();
    for round in 0..2 {
        near.worker.process_commands();
        near.worker.round(near.now);
        out.extend(std::iter::from_fn(|| near.wire.take()));
        assert_eq!(sealed.try_recv(), Err(TryRecvError::Empty));
        if round == 0 {
            assert_eq!(
                carried.try_recv(),
                Ok(Ok(())),
                "a message without `behind` does not wait"
            );
        }
    }
    out.extend(near.work());
    assert_eq!(sealed.try_recv(), Ok(Ok(())));
    assert_eq!(near.totals().originated, 2);
    assert_eq!(near.totals().messages_sealed, 2);
    let opened: Vec<_> = carry(out, 1)
        .into_iter()
        .flat_map(|frame| far.exchange(&[frame]))
        .collect();
    assert_eq!(numbers(&opened), [0, 1, 2, 3, 101, 4, 5, 6, 7, 8, 9, 100]);
    assert_eq!(opened[11][14..], marker.ip(), "its TTL is unchanged");
    near.finish();
}

#[test]
fn a_marker_does_not_wait_for_later_packets() {
    let setup = Setup {
        burst: 4,
        ..Setup::default()
    };
    let mut near = Side::new(1, &setup);
    let bring = |near: &mut Side, count| {
        for _ in 0..count {
            assert!(near.wire.inject(&frame(2, 0)));
        }
    };
    bring(&mut near, 10);
    let sealed = near.request(mark(&message(false, Some(3), 100), true));
    near.worker.process_commands();
    // More packets arrive than are read, so the ring is never empty.
    let mut read = 0;
    while sealed.try_recv().is_err() {
        bring(&mut near, 5);
        near.worker.round(near.now);
        read += 4;
        assert!(read < 100, "the marker is never sealed");
    }
    assert_eq!(read, 12, "the ten earlier packets, in bursts of four");
    near.work();
    near.finish();
}

#[test]
fn a_marker_that_cannot_be_sealed_is_refused_with_a_reason() {
    let refused = |setup: &Setup, tunnel, length| {
        let mut near = Side::new(1, setup);
        let packet = Packet::udp([10, 1, 0, 100], [10, 2, 0, 100], &vec![0; length]).ip();
        let sealed = near.request(|reply| Command::Mark {
            tunnel,
            packet,
            behind: true,
            reply,
        });
        near.work();
        near.finish();
        sealed.try_recv().expect("an answer")
    };
    let default = Setup::default();
    let reason = |reason| Err(Refused::NotSealed { reason });
    assert_eq!(refused(&default, 0, MAX_INNER - 28), Ok(()));
    assert_eq!(
        refused(&default, 0, MAX_INNER - 27),
        reason(DropReason::TooBig)
    );
    let none = Refused::NoSuchTunnel { tunnel: 1 };
    assert_eq!(refused(&default, 1, 8), Err(none));
    let short = Setup {
        reserved: 1,
        ..Setup::default()
    };
    assert_eq!(
        refused(&short, 0, 8),
        reason(DropReason::SequenceNotReserved)
    );
}

/// Seals packets and then a peer message at gateway 1, and injects them at gateway 2.
fn bring(near: &mut Side, far: &mut Side, packets: &[Vec<u8>], message: &Packet) {
    let mut sealed = near.exchange(packets);
    let _ = near.request(mark(message, true));
    sealed.extend(near.work());
    for frame in carry(sealed, 1) {
        assert!(far.wire.inject(&frame));
    }
}

#[test]
fn a_message_for_this_host_reaches_control_after_earlier_packets() {
    for v6 in FAMILIES {
        let mut near = Side::new(1, &Setup::default());
        let mut far = Side::new(
            2,
            &Setup {
                ring: 32,
                burst: 16,
                ..Setup::default()
            },
        );
        let message = message(v6, None, 7);
        meet(&mut far, &message);
        bring(
            &mut near,
            &mut far,
            &[frame(2, 1), frame(2, 2), frame(2, 3)],
            &message,
        );
        far.work();
        let received = far.control.messages.try_recv().expect("a message");
        assert_eq!((received.tunnel, received.packet()), (0, &message.ip()[..]));
        let totals = far.finish();
        assert_eq!((totals.sent, totals.messages), (4, 1));
    }
}

#[test]
fn messages_and_fences_wait_until_earlier_packets_have_left() {
    let mut near = Side::new(1, &Setup::default());
    let mut sealed = near.exchange(&[frame(2, 1)]);
    let message = message(false, None, 7);
    let _ = near.request(mark(&message, true));
    sealed.extend(near.work());
    let (nic, mut wire) = memory::pair(64, 2048, 16);
    let (mut worker, control) =
        Worker::new(config(2, &Setup::default()), Stuck(nic)).expect("a worker");
    let (reply, _) = Reply::channel();
    control
        .send(mark(&answer(&message), false)(reply))
        .expect("a worker");
    worker.process_commands();
    for frame in carry(sealed, 1) {
        assert!(wire.inject(&frame));
    }
    let (reply, fenced) = Reply::channel();
    let now = Instant::now();
    worker.round(now);
    assert_eq!(
        control.counters.totals().waiting,
        2,
        "a packet and a message"
    );
    assert!(control.messages.is_empty());
    control.send(fence(true)(reply)).expect("a worker");
    worker.process_commands();
    worker.round(now);
    let totals = control.counters.totals();
    assert_eq!((totals.received, totals.waiting), (2, 1), "{totals:?}");
    assert_eq!(fenced.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn messages_that_do_not_fit_the_control_queue_are_counted() {
    let (mut near, mut far) = both(&Setup::default());
    meet(&mut far, &message(false, None, 0));
    for number in 0..70 {
        bring(&mut near, &mut far, &[], &message(false, None, number));
        far.work();
    }
    let mut long = message(false, None, 0);
    long.payload.resize(LONGEST_PACKET - 19, 0);
    bring(&mut near, &mut far, &[], &long);
    far.work();
    assert_eq!(far.control.messages.len(), 64);
    let totals = far.finish();
    assert_eq!(
        (totals.messages, totals.drops[DropReason::ControlQueueFull]),
        (64, 7)
    );
}

/// Only the peer's demux sends messages, and only to this one. Other packets to the port are an application's: they wait for
/// nothing, and none is dropped.
#[test]
fn other_packets_to_the_port_are_ordinary_traffic() {
    let setup = Setup {
        burst: 256,
        ring: 1024,
        frames: 4096,
        ..Setup::default()
    };
    let (mut near, mut far) = both(&setup);
    let demux = message(false, Some(3), 0);
    meet(&mut far, &demux);
    let other_source = Packet::udp([10, 1, 0, 2], [10, 2, 0, 3], &[1; 40]).with_ports(PORT);
    let other_destination = Packet::udp([10, 1, 0, 100], [10, 2, 0, 2], &[2; 40]).with_ports(PORT);
    let other_port = Packet::udp([10, 1, 0, 100], [10, 2, 0, 3], &[3; 40]).with_port(PORT);
    for packet in [other_source, other_destination, other_port] {
        // A packet that waits for its next hop would delay a message.
        let waits = frame(9, 0);
        let frames = [vec![waits], vec![packet.frame(gateway_mac(1)); 200]].concat();
        let sealed = near.exchange(&frames);
        assert_eq!(far.exchange(&carry(sealed, 1)).len(), 200, "{packet:?}");
    }
    assert_eq!(far.totals().drops[DropReason::ControlQueueFull], 0);
}

/// Messages wait for the earlier packets of their tunnel, at most 16 at a time.
#[test]
fn waiting_messages_are_bounded() {
    let (mut near, mut far) = both(&Setup::default());
    meet(&mut far, &message(false, Some(3), 0));
    bring(
        &mut near,
        &mut far,
        &[frame(9, 1)],
        &message(false, Some(3), 0),
    );
    far.work();
    for number in 1..20 {
        bring(&mut near, &mut far, &[], &message(false, Some(3), number));
        far.work();
    }
    assert_eq!(far.totals().drops[DropReason::ControlQueueFull], 4);
    far.control
        .send(Command::Routes(routes(2, &[1, 2, 3, 9])))
        .expect("a worker");
    let expected: Vec<u8> = [1].into_iter().chain(0..16).collect();
    assert_eq!(numbers(&far.work()), expected);
    far.finish();
}

#[test]
fn a_message_for_another_host_does_not_overtake_a_waiting_packet() {
    for resolved in [true, false] {
        let (mut near, mut far) = both(&Setup::default());
        meet(&mut far, &message(false, Some(3), 0));
        bring(
            &mut near,
            &mut far,
            &[frame(9, 1), frame(2, 2)],
            &message(false, Some(3), 100),
        );
        assert_eq!(numbers(&far.work()), [2]);
        assert_eq!(far.totals().waiting, 2);
        far.pass(Duration::from_millis(49));
        // A message does not wait for a packet that arrived after it.
        bring(
            &mut near,
            &mut far,
            &[frame(8, 3)],
            &message(false, Some(3), 101),
        );
        assert_eq!(numbers(&far.work()), []);
        if resolved {
            let known = routes(2, &[1, 2, 3, 9]);
            far.control.send(Command::Routes(known)).expect("a worker");
            assert_eq!(numbers(&far.work()), [1, 100]);
            far.finish();
            continue;
        }
        far.pass(Duration::from_millis(1));
        assert_eq!(numbers(&far.work()), [100]);
        assert_eq!(far.totals().drops[DropReason::NeighbourUnresolved], 1);
        far.pass(Duration::from_millis(49));
        assert_eq!(numbers(&far.work()), [101]);
        assert_eq!(far.finish().drops[DropReason::NeighbourUnresolved], 2);
    }
}

#[test]
fn a_fence_drops_arriving_and_waiting_packets() {
    let (mut near, mut far) = both(&Setup::default());
    meet(&mut far, &message(false, Some(3), 0));
    bring(
        &mut near,
        &mut far,
        &[frame(2, 1), frame(9, 2)],
        &message(false, Some(3), 100),
    );
    assert_eq!(numbers(&far.work()), [1]);
    let fenced = far.request(fence(true));
    let late = near.exchange(&[frame(2, 3)]);
    let late = carry(late, 1);
    assert_eq!(numbers(&far.exchange(&late)), []);
    assert_eq!(fenced.try_recv(), Ok(Ok(())));
    let known = routes(2, &[1, 2, 3, 9]);
    far.control.send(Command::Routes(known)).expect("a worker");
    assert_eq!(numbers(&far.work()), []);
    // A waiting packet, the message behind it, and an arriving packet.
    assert_eq!(far.totals().drops[DropReason::SaFenced], 3);
    // The fence does not touch the replay window: the same packet is accepted after the fence is lifted.
    let lifted = far.request(fence(false));
    assert_eq!(numbers(&far.exchange(&late)), [3]);
    assert_eq!(lifted.try_recv(), Ok(Ok(())));
    let none = far.request(|reply| Command::Fence {
        tunnel: 1,
        fenced: true,
        reply,
    });
    far.work();
    let refused = Refused::NoSuchTunnel { tunnel: 1 };
    assert_eq!(none.try_recv(), Ok(Err(refused)));
    far.finish();
}
