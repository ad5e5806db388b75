//! Markers, what stands behind what was opened, and fences.

use std::time::{Duration, Instant};

use causeway_device::memory;
use causeway_gateway::{Command, Refused, Reply, Worker};
use causeway_rescale::message::{LONGEST_PACKET, PORT};
use causeway_steering::Drop;
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

/// A demux's word to a host of VPC 2, or to the gateway's own address there.
fn word(v6: bool, to: Option<u8>, number: u8) -> Packet {
    let to = to.map_or(address(v6, 2), |to| host(v6, 2, to));
    let mut word = Packet::udp(host(v6, 1, 100), to, &[number; 40]);
    word.payload[2..4].copy_from_slice(&PORT.to_be_bytes());
    word
}

/// Asks for the word to be sealed.
fn mark(word: &Packet, behind: bool) -> impl FnOnce(Reply) -> Command {
    let packet = word.ip();
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

/// The number that a packet of IPv4 carries.
fn numbers(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().map(|frame| frame[14 + 28]).collect()
}

#[test]
fn a_marker_stands_behind_all_that_had_arrived() {
    let setup = Setup {
        burst: 4,
        ..Setup::default()
    };
    let mut near = Side::new(1, &setup);
    let mut far = Side::new(2, &Setup::default());
    for number in 0..10 {
        assert!(near.wire.inject(&frame(2, number)));
    }
    let marker = word(false, Some(3), 100);
    let sealed = near.tell(mark(&marker, true));
    let carried = near.tell(mark(&word(false, Some(3), 101), false));
    let mut out = Vec::new();
    for round in 0..2 {
        near.worker.obey();
        near.worker.round(near.now);
        out.extend(std::iter::from_fn(|| near.wire.take()));
        assert_eq!(sealed.try_recv(), Err(TryRecvError::Empty));
        if round == 0 {
            assert_eq!(carried.try_recv(), Ok(Ok(())), "a word waits for nothing");
        }
    }
    out.extend(near.work());
    assert_eq!(sealed.try_recv(), Ok(Ok(())));
    assert_eq!(near.totals().originated, 2);
    let opened: Vec<_> = carry(out, 1)
        .into_iter()
        .flat_map(|frame| far.exchange(&[frame]))
        .collect();
    assert_eq!(numbers(&opened), [0, 1, 2, 3, 101, 4, 5, 6, 7, 8, 9, 100]);
    assert_eq!(opened[11][14..], marker.ip(), "its TTL is its own");
    near.finish();
}

#[test]
fn a_marker_does_not_wait_for_what_comes_after_it() {
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
    let sealed = near.tell(mark(&word(false, Some(3), 100), true));
    near.worker.obey();
    // More comes than is read: the ring is never found empty.
    let mut read = 0;
    while sealed.try_recv().is_err() {
        bring(&mut near, 5);
        near.worker.round(near.now);
        read += 4;
        assert!(read < 100, "the marker never goes");
    }
    assert_eq!(read, 12, "the ten that were there, in bursts of four");
    near.work();
    near.finish();
}

#[test]
fn a_packet_that_cannot_be_sealed_is_refused_by_name() {
    let refused = |setup: &Setup, tunnel, length| {
        let mut near = Side::new(1, setup);
        let packet = Packet::udp([10, 1, 0, 100], [10, 2, 0, 100], &vec![0; length]).ip();
        let sealed = near.tell(|reply| Command::Mark {
            tunnel,
            packet,
            behind: true,
            reply,
        });
        near.work();
        near.finish();
        sealed.try_recv().expect("an answer")
    };
    let usual = Setup::default();
    let reason = |reason| Err(Refused::NotSealed { reason });
    assert_eq!(refused(&usual, 0, MAX_INNER - 28), Ok(()));
    assert_eq!(refused(&usual, 0, MAX_INNER - 27), reason(Drop::TooBig));
    let none = Refused::NoSuchTunnel { tunnel: 1 };
    assert_eq!(refused(&usual, 1, 8), Err(none));
    let short = Setup {
        reserved: 1,
        ..Setup::default()
    };
    assert_eq!(refused(&short, 0, 8), reason(Drop::SequenceNotReserved));
}

/// Words from VPC 1 that its gateway seals and VPC 2's opens, among packets.
fn bring(near: &mut Side, far: &mut Side, packets: &[Vec<u8>], word: &Packet) {
    let mut sealed = near.exchange(packets);
    let _ = near.tell(mark(word, true));
    sealed.extend(near.work());
    for frame in carry(sealed, 1) {
        assert!(far.wire.inject(&frame));
    }
}

#[test]
fn a_word_for_this_host_is_given_to_control_behind_what_was_opened() {
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
        let word = word(v6, None, 7);
        bring(
            &mut near,
            &mut far,
            &[frame(2, 1), frame(2, 2), frame(2, 3)],
            &word,
        );
        far.work();
        let said = far.control.words.try_recv().expect("a word");
        assert_eq!((said.tunnel, said.packet()), (0, &word.ip()[..]));
        let totals = far.finish();
        assert_eq!((totals.sent, totals.words), (4, 1));
    }
}

#[test]
fn nothing_is_told_before_the_packets_that_came_first_have_left() {
    let mut near = Side::new(1, &Setup::default());
    let mut sealed = near.exchange(&[frame(2, 1)]);
    let word = word(false, None, 7);
    let _ = near.tell(mark(&word, true));
    sealed.extend(near.work());
    let (nic, mut wire) = memory::pair(64, 2048, 16);
    let (mut worker, control) =
        Worker::new(config(2, &Setup::default()), Stuck(nic)).expect("a worker");
    for frame in carry(sealed, 1) {
        assert!(wire.inject(&frame));
    }
    let (reply, fenced) = Reply::channel();
    let now = Instant::now();
    worker.round(now);
    assert_eq!(control.counters.totals().waiting, 2, "a packet, and a word");
    assert!(control.words.is_empty());
    control.send(fence(true)(reply)).expect("a worker");
    worker.obey();
    worker.round(now);
    let totals = control.counters.totals();
    assert_eq!((totals.received, totals.waiting), (2, 1), "{totals:?}");
    assert_eq!(fenced.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn words_that_do_not_fit_are_named() {
    let (mut near, mut far) = both(&Setup::default());
    for number in 0..70 {
        bring(&mut near, &mut far, &[], &word(false, None, number));
        far.work();
    }
    let mut long = word(false, None, 0);
    long.payload.resize(LONGEST_PACKET - 19, 0);
    bring(&mut near, &mut far, &[], &long);
    far.work();
    assert_eq!(far.control.words.len(), 64);
    let totals = far.finish();
    assert_eq!((totals.words, totals.drops[Drop::WordLost]), (64, 7));
}

#[test]
fn a_word_for_another_host_does_not_overtake_a_packet_that_waits() {
    for resolved in [true, false] {
        let (mut near, mut far) = both(&Setup::default());
        bring(
            &mut near,
            &mut far,
            &[frame(9, 1), frame(2, 2)],
            &word(false, Some(3), 100),
        );
        assert_eq!(numbers(&far.work()), [2]);
        assert_eq!(far.totals().waiting, 2);
        far.pass(Duration::from_millis(49));
        // Nor does one wait for a packet that came after it.
        bring(
            &mut near,
            &mut far,
            &[frame(8, 3)],
            &word(false, Some(3), 101),
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
        assert_eq!(far.totals().drops[Drop::NeighbourUnresolved], 1);
        far.pass(Duration::from_millis(49));
        assert_eq!(numbers(&far.work()), [101]);
        assert_eq!(far.finish().drops[Drop::NeighbourUnresolved], 2);
    }
}

#[test]
fn a_fence_shuts_out_what_comes_and_what_waits() {
    let (mut near, mut far) = both(&Setup::default());
    bring(
        &mut near,
        &mut far,
        &[frame(2, 1), frame(9, 2)],
        &word(false, Some(3), 100),
    );
    assert_eq!(numbers(&far.work()), [1]);
    let fenced = far.tell(fence(true));
    let late = near.exchange(&[frame(2, 3)]);
    let late = carry(late, 1);
    assert_eq!(numbers(&far.exchange(&late)), []);
    assert_eq!(fenced.try_recv(), Ok(Ok(())));
    let known = routes(2, &[1, 2, 3, 9]);
    far.control.send(Command::Routes(known)).expect("a worker");
    assert_eq!(numbers(&far.work()), []);
    // One that waited, a word behind it, and one that came.
    assert_eq!(far.totals().drops[Drop::SaFenced], 3);
    // Nothing was looked at: the same packet is new when the fence is lifted.
    let lifted = far.tell(fence(false));
    assert_eq!(numbers(&far.exchange(&late)), [3]);
    assert_eq!(lifted.try_recv(), Ok(Ok(())));
    let none = far.tell(|reply| Command::Fence {
        tunnel: 1,
        fenced: true,
        reply,
    });
    far.work();
    let refused = Refused::NoSuchTunnel { tunnel: 1 };
    assert_eq!(none.try_recv(), Ok(Err(refused)));
    far.finish();
}
