//! Installing, switching and retiring SAs while packets flow.

use std::collections::VecDeque;

use causeway_esp::Spi;
use causeway_gateway::{Command, Refused, Reply};
use causeway_steering::DropReason;
use proptest::prelude::*;

use crate::packet::{Packet, word};
use crate::side::{
    Setup, Side, both, carried, carry, config, gateway_mac, inbound_of, outbound_of, spi,
};

fn frame(number: u16) -> Vec<u8> {
    let packet = Packet {
        identification: number,
        ..Packet::udp([10, 1, 0, 2], [10, 2, 0, 2], &[0; 40])
    };
    packet.frame(gateway_mac(1))
}

fn number(frame: &[u8]) -> u16 {
    word(&frame[14..], 4)
}

/// The SPI of a sealed frame.
fn spi_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[42..46].try_into().expect("four bytes"))
}

/// Sends a command and returns its answer, if there is one yet.
fn request(side: &mut Side, command: impl FnOnce(Reply) -> Command) -> Option<Result<(), Refused>> {
    let (reply, answer) = Reply::channel();
    side.control.send(command(reply)).expect("a worker");
    side.worker.process_commands();
    answer.try_recv().ok()
}

/// Installs gateway 1's SA of this key epoch at gateway 2.
fn install(b: &mut Side, epoch: u8) -> Result<(), Refused> {
    let sa = inbound_of(1, epoch).into();
    let command = |reply| Command::Install {
        tunnel: 0,
        sa,
        reply,
    };
    request(b, command).expect("an answer at once")
}

fn switch(a: &mut Side, epoch: u8, reserved: u64) -> Result<(), Refused> {
    let sa = outbound_of(
        1,
        2,
        epoch,
        &Setup {
            reserved,
            ..Setup::default()
        },
    )
    .into();
    let command = |reply| Command::Switch {
        tunnel: 0,
        sa,
        reply,
    };
    request(a, command).expect("an answer at once")
}

fn retire(b: &mut Side, spi: Spi) -> Option<Result<(), Refused>> {
    request(b, |reply| Command::Retire { spi, reply })
}

#[test]
fn a_new_sa_replaces_the_old_one() {
    let (mut a, mut b) = both(&Setup::default());
    let late = carry(a.exchange(&[frame(0), frame(1)]), 1);
    assert_eq!(install(&mut b, 1), Ok(()));
    assert_eq!(switch(&mut a, 1, u64::MAX), Ok(()));
    let new = carry(a.exchange(&[frame(2)]), 1);
    assert_eq!(spi_of(&new[0]), spi(1, 1).get());
    // The sequence numbers of a new SA start with 1 (RFC 4303 section 2.2).
    assert_eq!(new[0][46..50], [0, 0, 0, 1]);

    assert_eq!(b.exchange(&[late[0].clone(), new[0].clone()]).len(), 2);
    assert_eq!(
        retire(&mut b, spi(1, 0)),
        None,
        "not before the ring is checked"
    );
    assert_eq!(b.work().len(), 0);
    assert_eq!(b.exchange(&[late[1].clone()]).len(), 0);
    let totals = b.finish();
    assert_eq!(totals.drops[DropReason::UnknownSpi], 1);
    assert_eq!(totals.drops.sum(), 1);
    a.finish();
}

#[test]
fn invalid_commands_are_refused_without_effect() {
    let (mut a, mut b) = both(&Setup::default());
    let none = Err(Refused::NoSuchTunnel { tunnel: 7 });
    let sa = inbound_of(1, 1).into();
    let tunnel = 7;
    let command = |reply| Command::Install { tunnel, sa, reply };
    assert_eq!(request(&mut b, command), Some(none));
    let sa = outbound_of(1, 2, 1, &Setup::default()).into();
    let command = |reply| Command::Switch { tunnel, sa, reply };
    assert_eq!(request(&mut a, command), Some(none));

    let spi_0 = spi(1, 0);
    assert_eq!(install(&mut b, 0), Err(Refused::SpiInUse { spi: spi_0 }));
    let spi_1 = spi(1, 1);
    assert_eq!(
        retire(&mut b, spi_1),
        Some(Err(Refused::NoSuchSpi { spi: spi_1 }))
    );
    let sealed = carry(a.exchange(&[frame(0)]), 1);
    assert_eq!(b.exchange(&sealed).len(), 1);
}

/// Packets that were in the receive ring before the command are opened, even if the ring never becomes empty.
#[test]
fn an_sa_is_retired_after_its_last_packet() {
    let setup = Setup {
        burst: 4,
        frames: 64,
        ..Setup::default()
    };
    let (mut a, mut b) = both(&setup);
    let old = carry((0..20).flat_map(|n| a.exchange(&[frame(n)])).collect(), 1);
    for frame in &old {
        assert!(b.wire.inject(frame));
    }
    assert_eq!(install(&mut b, 1), Ok(()));
    assert_eq!(switch(&mut a, 1, u64::MAX), Ok(()));
    let (reply, answer) = Reply::channel();
    let spi = spi(1, 0);
    let command = Command::Retire { spi, reply };
    b.control.send(command).expect("a worker");
    assert_eq!(b.worker.process_commands(), None);
    // One packet arrives for each packet read, so the ring is never empty.
    let mut rounds = 0;
    while answer.try_recv().is_err() {
        let new = carry(a.exchange(&[frame(100 + rounds)]), 1);
        for frame in new {
            assert!(b.wire.inject(&frame));
        }
        b.worker.round(b.now);
        rounds += 1;
        assert!(rounds < 100, "the SA is never retired");
    }
    b.work();
    let totals = b.finish();
    assert_eq!(totals.drops.sum(), 0, "{totals:?}");
    assert_eq!(totals.sent, u64::from(20 + rounds));
}

/// Sequence numbers that are reserved for one key do not apply to another key.
#[test]
fn a_reservation_applies_to_its_sa_only() {
    let mut a = Side::new(1, &Setup::default());
    assert_eq!(switch(&mut a, 1, 11), Ok(()));
    let reserve = |a: &Side, spi, until| {
        let tunnel = 0;
        let command = Command::ReserveUntil { tunnel, spi, until };
        a.control.send(command).expect("a worker");
    };
    reserve(&a, spi(1, 0), 1 << 40);
    let sent: usize = (0..20).map(|n| a.exchange(&[frame(n)]).len()).sum();
    assert_eq!(sent, 10, "numbers 1 to 10");
    assert_eq!(a.totals().drops[DropReason::SequenceNotReserved], 10);
    reserve(&a, spi(1, 1), 16);
    let sent: usize = (0..20).map(|n| a.exchange(&[frame(n)]).len()).sum();
    assert_eq!(sent, 5, "numbers 11 to 15");
}

/// One step of a test.
#[derive(Clone, Debug)]
enum Step {
    /// A host of VPC 1 sends this number of packets.
    Send(u8),
    /// The network delivers this number of packets in flight.
    Deliver(u8),
    /// Gateway 2 installs the SA of the next key epoch.
    Install,
    /// Gateway 1 switches to the newest SA of gateway 2.
    Switch,
    /// Gateway 2 retires its oldest SA, if the SA is not in use and none of its packets is in flight.
    Retire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..9).prop_map(Step::Send),
        4 => (1u8..12).prop_map(Step::Deliver),
        2 => Just(Step::Install),
        2 => Just(Step::Switch),
        2 => Just(Step::Retire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Install, switch, wait for packets in flight, retire: no order of these steps loses or reorders a packet.
    #[test]
    fn a_rekey_loses_and_reorders_nothing(steps in prop::collection::vec(step(), 1..80)) {
        let (mut a, mut b) = both(&Setup::default());
        let (mut oldest, mut newest, mut in_use) = (0, 0, 0);
        let mut sent = 0;
        let mut wire = VecDeque::new();
        let mut arrived = Vec::new();
        for step in steps {
            match step {
                Step::Send(count) => {
                    let frames: Vec<_> = (sent..sent + u16::from(count)).map(frame).collect();
                    sent += u16::from(count);
                    wire.extend(a.exchange(&frames).into_iter().map(|frame| carried(frame, 1)));
                }
                Step::Deliver(count) => {
                    let count = wire.len().min(count.into());
                    let frames: Vec<_> = wire.drain(..count).collect();
                    arrived.extend(b.exchange(&frames));
                }
                Step::Install => {
                    newest += 1;
                    prop_assert_eq!(install(&mut b, newest), Ok(()));
                }
                Step::Switch if in_use != newest => {
                    in_use = newest;
                    prop_assert_eq!(switch(&mut a, in_use, u64::MAX), Ok(()));
                }
                Step::Retire if oldest < in_use => {
                    let spi = spi(1, oldest);
                    if wire.iter().all(|frame: &Vec<u8>| spi_of(frame) != spi.get()) {
                        prop_assert_eq!(retire(&mut b, spi), None);
                        arrived.extend(b.work());
                        // The SA is gone, and its SPI is unknown.
                        prop_assert_eq!(
                            retire(&mut b, spi),
                            Some(Err(Refused::NoSuchSpi { spi }))
                        );
                        oldest += 1;
                    }
                }
                Step::Switch | Step::Retire => {}
            }
        }
        let frames: Vec<_> = wire.into();
        arrived.extend(b.exchange(&frames));
        let numbers: Vec<u16> = arrived.iter().map(|frame| number(frame)).collect();
        prop_assert_eq!(numbers, (0..sent).collect::<Vec<_>>());
        prop_assert_eq!(a.finish().drops.sum() + b.finish().drops.sum(), 0);
    }
}

/// RFC 9611: one gateway has two workers, the other has one. The SPI alone selects the inbound SA. The gateway with one
/// worker answers on its only outbound SA.
/// Standard: unequal-sas
#[test]
fn gateways_may_have_different_numbers_of_sas() {
    let setup = Setup::default();
    let (mut first, mut b) = both(&setup);
    let mut two = config(1, &setup);
    two.tunnels[0].outbound = outbound_of(1, 2, 1, &setup).into();
    two.tunnels[0].inbound = inbound_of(2, 1).into();
    let mut second = Side::with(two, &setup);
    assert_eq!(install(&mut b, 1), Ok(()));

    let mut received = Vec::new();
    for number in 0..10 {
        let side = if number % 2 == 0 {
            &mut first
        } else {
            &mut second
        };
        received.extend(carry(side.exchange(&[frame(number)]), 1));
    }
    let opened: Vec<_> = b.exchange(&received).iter().map(|f| number(f)).collect();
    assert_eq!(opened, Vec::from_iter(0..10));
    let answer = Packet::udp([10, 2, 0, 2], [10, 1, 0, 2], &[0; 40]).frame(gateway_mac(2));
    let back = carry(b.exchange(&[answer]), 2);
    assert_eq!(first.exchange(&back).len(), 1);
    assert_eq!(second.finish().drops.sum(), 0);
    assert_eq!(b.finish().drops.sum(), 0);
}
