//! The effect of SA settings: traffic flow confidentiality (TFC), DSCP, DF and dummy packets.

use std::sync::Arc;
use std::time::Duration;

use causeway_esp::{DontFragment, Dscp, Tfc};
use causeway_gateway::{Command, WorkerConfig};
use causeway_steering::DropReason;
use proptest::prelude::*;

use crate::packet::{DONT_FRAGMENT, Packet, reassemble, word};
use crate::side::{MAX_INNER, Setup, Side, both, carry, config, gateway_mac};

const HOST_1: [u8; 4] = [10, 1, 0, 2];
const HOST_2: [u8; 4] = [10, 2, 0, 3];

fn padding_to(bytes: usize) -> Setup {
    Setup {
        tfc: Tfc::PadTo(bytes),
        ..Setup::default()
    }
}

/// Padding is often longer than a message: each needs room for it.
#[test]
fn messages_pass_with_every_padding() {
    for pad_to in [1, 60, 68, 69, 80, 256, MAX_INNER, 3498, usize::MAX] {
        let (mut near, mut far) = both(&padding_to(pad_to));
        for length in [0, 40, MAX_INNER - 28] {
            let message = Packet::udp(HOST_1, HOST_2, &vec![7; length]);
            let packet = message.ip();
            let answer = near.request(|reply| Command::Mark {
                tunnel: 0,
                packet,
                behind: true,
                reply,
            });
            let sealed = near.work();
            assert_eq!(answer.try_recv(), Ok(Ok(())), "{length} padded to {pad_to}");
            let opened = far.exchange(&carry(sealed, 1));
            assert_eq!(opened.len(), 1, "{length} padded to {pad_to}");
            assert_eq!(opened[0][14..], message.ip());
        }
    }
}

/// Standard: tfc-made
#[test]
fn padding_makes_all_lengths_equal_within_the_path_mtu() {
    let mut a = Side::new(1, &padding_to(usize::MAX));
    let frames: Vec<_> = [0, 1, 500, MAX_INNER - 28, 1472, 1800]
        .into_iter()
        .map(|length| Packet::udp(HOST_1, HOST_2, &vec![7; length]).frame(gateway_mac(1)))
        .collect();
    let sealed = a.exchange(&frames);
    assert_eq!(sealed.len(), 4 + 2 + 2, "two packets are fragmented");
    for frame in sealed {
        assert_eq!(frame.len(), 14 + 1500);
    }
}

proptest! {
    /// With every padding a packet arrives unchanged, whole or in fragments.
    #[test]
    fn padding_does_not_change_the_inner_packet(
        pad_to in 1usize..2000,
        length in 0usize..1900,
        mtu in 1400usize..=1500,
    ) {
        let setup = padding_to(pad_to);
        let mut a = Side::with(WorkerConfig { mtu, ..config(1, &setup) }, &setup);
        let mut b = Side::new(2, &setup);
        let data: Vec<u8> = (0..length).map(|at| (at * 7 + 3) as u8).collect();
        let packet = Packet::udp(HOST_1, HOST_2, &data);
        let sealed = a.exchange(&[packet.frame(gateway_mac(1))]);
        prop_assert!(sealed.iter().all(|frame| frame.len() <= 14 + mtu));
        let opened = b.exchange(&carry(sealed, 1));
        let pieces: Vec<_> = opened.iter().map(|frame| frame[14..].to_vec()).collect();
        prop_assert_eq!(reassemble(&pieces), packet.payload);
        a.finish();
        b.finish();
    }
}

/// The outer TOS and flags of a packet with this inner DSCP and these inner flags.
fn outer(setup: &Setup, dscp: u8, flags: u16) -> (u8, u16) {
    let mut a = Side::new(1, setup);
    let mut frame = Packet {
        flags,
        ..Packet::udp(HOST_1, HOST_2, &[7; 100])
    }
    .frame(gateway_mac(1));
    frame[15] = dscp << 2 | 2;
    let sealed = a.exchange(&[frame]);
    (sealed[0][15], word(&sealed[0], 20))
}

/// Standard: dscp-set, dscp-copied
#[test]
fn the_outer_dscp_is_copied_or_set_and_ecn_copied() {
    for (dscp, inner, expected) in [
        (Dscp::Copy, 46, 46),
        (Dscp::Set(0), 46, 0),
        (Dscp::Set(34), 46, 34),
    ] {
        let setup = Setup {
            dscp,
            ..Setup::default()
        };
        assert_eq!(outer(&setup, inner, 0).0, expected << 2 | 2);
    }
}

/// Standard: df-set, df-copied
#[test]
fn the_outer_df_is_copied_set_or_cleared() {
    for (dont_fragment, inner, expected) in [
        (DontFragment::Copy, 0, 0),
        (DontFragment::Copy, DONT_FRAGMENT, DONT_FRAGMENT),
        (DontFragment::Set, 0, DONT_FRAGMENT),
        (DontFragment::Clear, DONT_FRAGMENT, 0),
    ] {
        let setup = Setup {
            dont_fragment,
            ..Setup::default()
        };
        assert_eq!(outer(&setup, 0, inner).1, expected);
    }
}

/// An idle tunnel sends a dummy in each interval. It has the length that TFC demands, and the peer drops it without an
/// event.
/// Standard: dummy-made, dummy-dropped
#[test]
fn an_idle_tunnel_sends_dummies() {
    let interval = Duration::from_millis(20);
    let setup = Setup {
        dummy_interval: Some(interval),
        ..padding_to(1000)
    };
    let (mut a, mut b) = both(&setup);
    let packet = Packet::udp(HOST_1, HOST_2, &[7; 100]).frame(gateway_mac(1));
    let real = a.exchange(std::slice::from_ref(&packet));
    assert_eq!(real.len(), 1);
    let mut dummies = Vec::new();
    for _ in 0..10 {
        a.pass(interval / 2);
        dummies.extend(a.work());
    }
    assert_eq!(dummies.len(), 5);
    assert!(dummies.iter().all(|dummy| dummy.len() == real[0].len()));
    // A real packet replaces a dummy.
    a.pass(interval / 2);
    a.exchange(&[packet]);
    a.pass(interval / 2);
    assert_eq!(a.work().len(), 0);

    assert_eq!(b.exchange(&carry(dummies, 1)).len(), 0);
    assert!(b.control.events.try_iter().next().is_none(), "no event");
    let (a, b) = (a.finish(), b.finish());
    assert_eq!((a.received, a.sent, a.originated), (2, 2, 5));
    assert_eq!(b.drops[DropReason::Dummy], 5);
}

/// Dummies do not wait for a next hop, so they cannot displace waiting packets.
#[test]
fn no_dummy_is_sent_without_a_next_hop() {
    let setup = Setup {
        dummy_interval: Some(Duration::from_millis(1)),
        ..Setup::default()
    };
    let mut config = config(1, &setup);
    config.routes = Arc::default();
    let mut a = Side::with(config, &setup);
    for _ in 0..100 {
        a.pass(Duration::from_millis(1));
        assert_eq!(a.work().len(), 0);
    }
    let a = a.finish();
    assert_eq!((a.originated, a.drops.sum()), (0, 0));
}
