//! Path MTU discovery: learning from ICMP reports about own packets, validation of reports, and expiry (RFC 4301 section
//! 8.2, RFC 1191).

use std::time::Duration;

use causeway_gateway::{Command, Event, TooBig};
use causeway_steering::DropReason;
use proptest::prelude::*;

use crate::packet::{DONT_FRAGMENT, Packet, icmp_error, word};
use crate::side::{MAX_INNER, MTU, PATH_MTU_AGE, Setup, Side, config, gateway_mac, host_mac};

/// A path MTU, and the longest inner packet at this MTU.
const NARROW: (usize, usize) = (1400, 1338);

/// An ICMP error of type 3 code 4 about the IPv4 packet `packet`, which quotes `quote` bytes of it. Returns the IPv4
/// packet of the error.
fn frag_needed(packet: &[u8], quote: usize, mtu: usize) -> Vec<u8> {
    let mut message = vec![3, 4, 0, 0, 0, 0];
    message.extend_from_slice(&(mtu as u16).to_be_bytes());
    message.extend_from_slice(&packet[..quote.min(packet.len())]);
    icmp_error(message)
}

/// A packet of this length with the DF flag.
fn probing(length: usize) -> Vec<u8> {
    Packet {
        flags: DONT_FRAGMENT,
        ..Packet::udp([10, 1, 0, 2], [10, 2, 0, 3], &vec![7; length - 28])
    }
    .frame(gateway_mac(1))
}

/// Seals an inner packet of this length and returns the outer packet.
fn outer(side: &mut Side, length: usize) -> Vec<u8> {
    let sealed = side.exchange(&[probing(length)]);
    assert_eq!(sealed.len(), 1);
    assert_eq!(sealed[0][..6], host_mac(1, 1), "addressed to the router");
    sealed[0][14..].to_vec()
}

/// Gives the worker a report and returns the tunnel's path MTU afterwards.
fn path_mtu_after(side: &mut Side, report: TooBig) -> u64 {
    let at = side.now;
    let command = Command::TooBig { report, at };
    side.control.send(command).expect("a worker");
    side.work();
    side.control.counters.path_mtus()[0]
}

fn report(packet: &[u8], mtu: usize) -> TooBig {
    TooBig::ipv4(&frag_needed(packet, 548, mtu)).expect("a report")
}

fn learned(side: &Side) -> Vec<usize> {
    let events = side.control.events.try_iter();
    events
        .filter_map(|event| match event {
            Event::PathMtu { tunnel: 0, mtu } => Some(mtu),
            _ => None,
        })
        .collect()
}

/// Standard: pmtu-outer
#[test]
fn the_path_mtu_is_learned_and_expires() {
    let (mtu, max_inner) = NARROW;
    let mut a = Side::new(1, &Setup::default());
    assert_eq!(a.control.counters.path_mtus(), [MTU as u64]);
    let lost = outer(&mut a, MAX_INNER);
    assert_eq!(path_mtu_after(&mut a, report(&lost, mtu)), mtu as u64);
    assert_eq!(learned(&a), [mtu]);

    // The sender gets an ICMP error, and its next packet fits.
    let error = a.exchange(&[probing(MAX_INNER)]);
    assert_eq!(error.len(), 1);
    assert_eq!(error[0][..6], host_mac(1, 2), "addressed to the sender");
    let icmp = &error[0][14 + 20..];
    assert_eq!((icmp[0], icmp[1]), (3, 4));
    assert_eq!(usize::from(word(icmp, 6)), max_inner);
    assert_eq!(outer(&mut a, max_inner).len(), mtu);
    assert_eq!(a.totals().drops[DropReason::TooBig], 1);

    // A packet without DF is fragmented to fit.
    let pieces =
        a.exchange(&[Packet::udp([10, 1, 0, 2], [10, 2, 0, 3], &[7; 1400]).frame(gateway_mac(1))]);
    assert_eq!(pieces.len(), 2);
    assert!(pieces.iter().all(|piece| piece.len() <= 14 + mtu));

    a.pass(PATH_MTU_AGE - Duration::from_nanos(1));
    outer(&mut a, max_inner);
    assert_eq!(a.control.counters.path_mtus(), [mtu as u64]);
    a.pass(Duration::from_nanos(1));
    a.work();
    assert_eq!(a.control.counters.path_mtus(), [MTU as u64]);
    assert_eq!(learned(&a), [MTU]);
    assert_eq!(outer(&mut a, MAX_INNER).len(), MTU);
    a.finish();
}

#[test]
fn only_a_smaller_mtu_is_accepted_and_restarts_the_age() {
    let mut a = Side::new(1, &Setup::default());
    let lost = outer(&mut a, MAX_INNER);
    assert_eq!(path_mtu_after(&mut a, report(&lost, 1390)), 1390);
    a.pass(PATH_MTU_AGE / 2);
    for mtu in [1390, 1391, 1500, 9000] {
        assert_eq!(path_mtu_after(&mut a, report(&lost, mtu)), 1390);
    }
    assert_eq!(
        path_mtu_after(&mut a, report(&lost, 1380)),
        1390,
        "the packet was sent minutes ago"
    );
    let lost = outer(&mut a, 1000);
    assert_eq!(path_mtu_after(&mut a, report(&lost, 1380)), 1380);
    a.pass(PATH_MTU_AGE / 2);
    a.work();
    assert_eq!(
        a.control.counters.path_mtus(),
        [1380],
        "half of its lifetime"
    );
    a.pass(PATH_MTU_AGE / 2);
    a.work();
    assert_eq!(a.control.counters.path_mtus(), [MTU as u64]);
    assert_eq!(learned(&a), [1390, 1380, MTU]);
    a.finish();
}

#[test]
fn the_mss_clamp_follows_the_path_mtu() {
    let mut a = Side::new(
        1,
        &Setup {
            clamp_mss: true,
            ..Setup::default()
        },
    );
    let syn = |mss: u16| {
        let mut tcp = vec![0; 20];
        tcp[12] = 6 << 4;
        tcp[13] = 2;
        tcp.extend_from_slice(&[2, 4]);
        tcp.extend_from_slice(&mss.to_be_bytes());
        Packet {
            protocol: 6,
            payload: tcp,
            ..Packet::udp([10, 1, 0, 2], [10, 2, 0, 3], &[])
        }
    };
    let mut b = Side::new(2, &Setup::default());
    let mut arriving_mss = |a: &mut Side| {
        let sealed = a.exchange(&[syn(9000).frame(gateway_mac(1))]);
        let opened = b.exchange(&crate::side::carry(sealed, 1));
        usize::from(word(&opened[0], 14 + 20 + 22))
    };
    assert_eq!(arriving_mss(&mut a), MAX_INNER - 40);
    let lost = outer(&mut a, MAX_INNER);
    path_mtu_after(&mut a, report(&lost, NARROW.0));
    assert_eq!(arriving_mss(&mut a), NARROW.1 - 40);
}

#[test]
fn reports_about_packets_that_were_not_sent_recently_are_ignored() {
    let mut a = Side::new(1, &Setup::default());
    let lost = outer(&mut a, MAX_INNER);
    let good = report(&lost, 1400);
    assert_eq!((good.spi, good.sequence), (0x1000, 1));
    let second = 2u32;
    for (case, forged) in [
        (
            "another source",
            TooBig {
                source: [10, 1, 0, 102].into(),
                ..good
            },
        ),
        (
            "another destination",
            TooBig {
                destination: [10, 2, 0, 102].into(),
                ..good
            },
        ),
        (
            "the SPI of the other direction",
            TooBig {
                spi: 0x2000,
                ..good
            },
        ),
        (
            "a future sequence number",
            TooBig {
                sequence: second,
                ..good
            },
        ),
        (
            "an old sequence number",
            TooBig {
                sequence: second.wrapping_sub((1 << 18) + 1),
                ..good
            },
        ),
    ] {
        assert_eq!(path_mtu_after(&mut a, forged), MTU as u64, "{case}");
    }
    assert_eq!(learned(&a), []);

    let mut disabled = config(1, &Setup::default());
    disabled.tunnels[0].path_mtu_age = Duration::ZERO;
    let mut a = Side::with(disabled, &Setup::default());
    outer(&mut a, MAX_INNER);
    assert_eq!(
        path_mtu_after(&mut a, good),
        MTU as u64,
        "learning is disabled"
    );
}

/// Reports with evenly spaced numbers, as somebody forges who knows addresses and SPI: as many as met the window of a million
/// numbers for sure, and four times as many.
#[test]
fn forged_reports_with_spaced_numbers_find_no_packet() {
    let mut a = Side::new(1, &Setup::default());
    for _ in 0..4 {
        outer(&mut a, MAX_INNER);
        a.pass(Duration::from_millis(600));
    }
    let lost = outer(&mut a, MAX_INNER);
    let good = report(&lost, 1400);
    let step = 1u32 << 20;
    for number in 0..1 << 12 {
        let forged = TooBig {
            sequence: (step / 2).wrapping_add(step.wrapping_mul(number)),
            ..good
        };
        assert_eq!(path_mtu_after(&mut a, forged), MTU as u64, "{number}");
    }
    // Of the last seconds, and not before.
    let old = TooBig {
        sequence: good.sequence - 4,
        ..good
    };
    assert_eq!(path_mtu_after(&mut a, old), MTU as u64);
    let previous = TooBig {
        sequence: good.sequence - 1,
        ..good
    };
    assert_eq!(path_mtu_after(&mut a, previous), 1400);
}

/// A tunnel has a minimum inner MTU, which reports cannot undercut. The overhead is 60 bytes in UDP over IPv4, 80 bytes
/// over IPv6, and a trailer of at least 2 bytes padded to a multiple of 4.
#[test]
fn a_path_mtu_below_the_minimum_is_reported_and_ignored() {
    for (outer_v6, inner_v6, floor) in [
        (false, false, 640),
        (false, true, 1344),
        (true, false, 1280),
        (true, true, 1364),
    ] {
        let setup = Setup {
            outer_v6,
            ..Setup::default()
        };
        let mut config = config(1, &setup);
        let prefixes = &mut config.tunnels[0].peer_prefixes;
        prefixes.retain(|prefix| inner_v6 || prefix.addr().is_ipv4());
        let (source, destination) = (config.address, config.tunnels[0].peer);
        let mut a = Side::with(config, &setup);
        outer(&mut a, 100);
        let report = |mtu| TooBig {
            source,
            destination,
            spi: 0x1000,
            sequence: 1,
            mtu,
        };
        for mtu in [0, floor - 1] {
            assert_eq!(path_mtu_after(&mut a, report(mtu)), MTU as u64, "{mtu}");
            let events: Vec<_> = a.control.events.try_iter().collect();
            assert!(events.contains(&Event::PathTooNarrow { tunnel: 0, mtu }));
        }
        assert_eq!(path_mtu_after(&mut a, report(floor)), floor as u64);
    }
}

#[test]
fn a_report_must_be_valid_and_quote_the_sequence_number() {
    let mut a = Side::new(1, &Setup::default());
    let lost = outer(&mut a, MAX_INNER);
    let good = frag_needed(&lost, 548, 1400);
    let expected = TooBig {
        source: [10, 1, 0, 101].into(),
        destination: [10, 2, 0, 101].into(),
        spi: 0x1000,
        sequence: 1,
        mtu: 1400,
    };
    assert_eq!(TooBig::ipv4(&good), Some(expected));
    // The quote must contain IP and UDP header, SPI and sequence number.
    assert!(TooBig::ipv4(&frag_needed(&lost, 36, 1400)).is_some());
    assert_eq!(TooBig::ipv4(&frag_needed(&lost, 35, 1400)), None);
    // For raw ESP, the eight bytes that every router quotes are enough.
    let mut raw = lost[..20].to_vec();
    raw[9] = 50;
    raw.extend_from_slice(&lost[28..36]);
    assert_eq!(TooBig::ipv4(&frag_needed(&raw, 28, 1400)), Some(expected));
    let change = |at: usize, to: u8| {
        let mut packet = lost.clone();
        packet[at] = to;
        TooBig::ipv4(&frag_needed(&packet, 548, 1400))
    };
    assert_eq!(change(23, 0x95), None, "another UDP port");
    assert_eq!(change(9, 6), None, "TCP");
    assert_eq!(change(7, 1), None, "a later fragment");
    assert_eq!(change(0, 0x65), None, "IPv6");
    let mut time_exceeded = good.clone();
    time_exceeded[20..22].copy_from_slice(&[11, 0]);
    assert_eq!(TooBig::ipv4(&time_exceeded), None);
    assert_eq!(TooBig::ipv4(&good[..good.len() - 1]), None, "truncated");
}

/// RFC 4443 section 3.2: code and reserved bytes are ignored.
#[test]
fn icmpv6_reports_are_parsed() {
    let mut message = vec![2, 0, 0, 0];
    message.extend_from_slice(&1400u32.to_be_bytes());
    message.extend_from_slice(&[0x60, 0, 0, 0, 0, 200, 17, 64]);
    let ends = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().expect("an address"));
    for end in ends {
        message.extend_from_slice(&std::net::Ipv6Addr::octets(&end));
    }
    message.extend_from_slice(&[0x11, 0x95, 0x11, 0x94, 0, 160, 0, 0]);
    message.extend_from_slice(&[0, 0, 0x10, 0, 0, 0, 0, 9]);
    let expected = TooBig {
        source: ends[0].into(),
        destination: ends[1].into(),
        spi: 0x1000,
        sequence: 9,
        mtu: 1400,
    };
    assert_eq!(TooBig::icmpv6(&message), Some(expected));
    let truncated = &message[..message.len() - 1];
    assert_eq!(TooBig::icmpv6(truncated), None);
    message[0] = 1;
    assert_eq!(TooBig::icmpv6(&message), None, "destination unreachable");
}

proptest! {
    /// Arbitrary input does not panic, and one flipped bit of the message is detected.
    #[test]
    fn arbitrary_reports_are_parsed_and_bit_errors_are_detected(
        junk in prop::collection::vec(any::<u8>(), 0..100),
        quote in 0usize..100,
        bit in any::<prop::sample::Index>(),
    ) {
        TooBig::ipv4(&junk);
        TooBig::icmpv6(&junk);
        let packet = Packet {
            flags: DONT_FRAGMENT,
            ..Packet::udp([10, 1, 0, 101], [10, 2, 0, 101], &junk).with_port(4500)
        };
        let mut message = frag_needed(&packet.ip(), quote, 1400);
        let read = TooBig::ipv4(&message);
        prop_assert_eq!(read.is_some(), quote.min(28 + junk.len()) >= 36);
        let at = 8 * 20 + bit.index(8 * (message.len() - 20));
        message[at / 8] ^= 1 << (at % 8);
        prop_assert_eq!(TooBig::ipv4(&message), None);
    }
}
