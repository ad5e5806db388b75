//! Law 5, the part that needs no kernel: a flow and its replies hash to one bucket, in both families.

mod packet;

use std::hash::Hasher;
use std::net::IpAddr;

use causeway_steering::headers::{ETHERNET, Ethernet, is_tag, protocol};
use causeway_steering::{
    Address, BUCKETS, Bucket, FlowKey, Headers, Inbound, Malformed, SteerHash,
};
use packet::{Part, behind, behind_tags, ends, extensions, frame, icmp, key, ports};
use proptest::prelude::*;
use siphasher::sip::SipHasher13;

proptest! {
    #[test]
    fn a_flow_and_its_replies_have_one_hash(
        hash in any::<[u8; 16]>(), [a, b, _] in ends(), pa in any::<u16>(), pb in any::<u16>(),
        proto in prop::sample::select(vec![6, 17, 33, 132, 136, 47]),
    ) {
        let hash = SteerHash::new(hash);
        let there = key(&frame(a, b, proto, Part::Whole, &ports(pa, pb)));
        let back = key(&frame(b, a, proto, Part::Whole, &ports(pb, pa)));
        prop_assert_eq!(there, back);
        prop_assert_eq!(hash.hash(&there), hash.hash(&back));
        prop_assert!(hash.bucket(&there) < BUCKETS);
    }

    #[test]
    fn the_hash_is_siphash_1_3(
        key in any::<[u8; 16]>(), [a, b, _] in ends(),
        pa in any::<u16>(), pb in any::<u16>(), protocol in any::<u8>(),
    ) {
        let (low, high) = if (a, pa) < (b, pb) { ((a, pa), (b, pb)) } else { ((b, pb), (a, pa)) };
        let mut reference = SipHasher13::new_with_key(&key);
        for (address, _) in [high, low] {
            if a.is_ipv4() {
                reference.write(&(address.low as u32).to_le_bytes());
            }
        }
        for (address, _) in [low, high] {
            if !a.is_ipv4() {
                reference.write(&address.high.to_le_bytes());
                reference.write(&address.low.to_le_bytes());
            }
        }
        reference.write(&high.1.to_le_bytes());
        reference.write(&low.1.to_le_bytes());
        reference.write(&[protocol]);
        let flow = FlowKey::new(protocol, (a, pa), (b, pb));
        prop_assert_eq!(SteerHash::new(key).hash(&flow), reference.finish());
    }

    #[test]
    fn all_fragments_of_a_packet_have_one_key(
        [a, b, _] in ends(), first in any::<[u8; 24]>(), rest in any::<[u8; 24]>(),
        proto in prop::sample::select(vec![protocol::TCP, protocol::UDP, protocol::ICMP, protocol::ICMPV6]),
    ) {
        let head = key(&frame(a, b, proto, Part::First, &first));
        prop_assert_eq!(head, key(&frame(a, b, proto, Part::Middle, &rest)));
        prop_assert_eq!(head, key(&frame(b, a, proto, Part::Last, &rest)));
    }

    /// Every fragment repeats the extension headers in front of the fragment header.
    #[test]
    fn fragments_behind_extension_headers_have_the_key_of_fragments(
        [a, b, _] in ends().prop_filter("IPv6", |[a, ..]| !a.is_ipv4()), chain in extensions(),
    ) {
        let whole: Vec<_> = chain.into_iter().filter(|(kind, _)| *kind != 44).take(3).collect();
        let fragment = [whole, vec![(44, vec![0, 0, 1, 0, 0, 0, 7])]].concat();
        let alone = key(&frame(b, a, protocol::UDP, Part::Last, &[7; 9]));
        prop_assert_eq!(key(&behind(a, b, &fragment, protocol::UDP, &ports(1, 2))), alone);
    }

    #[test]
    fn an_icmp_error_has_the_key_of_the_packet_that_it_quotes(
        [a, b, router] in ends(), pa in any::<u16>(), pb in any::<u16>(), chain in extensions(),
        proto in prop::sample::select(vec![protocol::TCP, protocol::UDP]), kind in 0..5usize, cut in 0..16usize,
    ) {
        let (icmp, ..) = icmp(a);
        let (kind, packet) = match a.is_ipv4() {
            true => ([3, 4, 5, 11, 12][kind], frame(a, b, proto, Part::Whole, &ports(pa, pb))),
            false => ([1, 2, 3, 4, 1][kind], behind(a, b, &chain, proto, &ports(pa, pb))),
        };
        let quoted = &packet[ETHERNET..packet.len() - cut];
        let quote = [&[kind, 0, 0, 0, 0, 0, 0, 0], quoted].concat();
        prop_assert_eq!(key(&packet), key(&frame(router, a, icmp, Part::Whole, &quote)));
    }

    #[test]
    fn extension_headers_change_no_key(
        [a, b, _] in ends().prop_filter("IPv6", |[a, ..]| !a.is_ipv4()),
        chain in extensions(), pa in any::<u16>(), pb in any::<u16>(),
    ) {
        let plain = frame(b, a, protocol::TCP, Part::Whole, &ports(pb, pa));
        prop_assert_eq!(key(&behind(a, b, &chain, protocol::TCP, &ports(pa, pb))), key(&plain));
    }

    /// A tag identifies the frame's network, not the packet's flow.
    #[test]
    fn vlan_tags_change_no_key(
        [a, b, _] in ends(), pa in any::<u16>(), pb in any::<u16>(),
        tags in prop::collection::vec((prop::sample::select(vec![0x8100, 0x88a8, 0x9100]), any::<u16>()), 0..=3),
    ) {
        let plain = frame(a, b, protocol::TCP, Part::Whole, &ports(pa, pb));
        let tagged = behind_tags(&plain, &tags);
        let ethernet = Ethernet::parse(&tagged[..]).expect("a whole header");
        let behind = tags.len().min(2);
        prop_assert_eq!(ethernet.l3, ETHERNET + 4 * behind);
        prop_assert_eq!(is_tag(ethernet.ethertype), tags.len() > 2);
        if tags.len() <= 2 {
            let headers = Headers::parse(&tagged[..], ethernet.l3).expect("a proper frame");
            prop_assert_eq!(FlowKey::of(&tagged[..], &headers), key(&plain));
        }
        for length in 0..ETHERNET + 4 * behind {
            prop_assert_eq!(Ethernet::parse(&tagged[..length]), None);
        }
    }

    #[test]
    fn no_octet_behind_the_packet_is_read(
        mut octets in prop::collection::vec(any::<u8>(), 0..120), version in prop::option::of(4..=6u8),
    ) {
        if let (Some(version), Some(octet)) = (version, octets.get_mut(ETHERNET)) {
            *octet = version << 4 | 5;
        }
        if let Ok(headers) = Headers::parse(&octets[..], ETHERNET) {
            FlowKey::of(&octets[..], &headers);
            Inbound::of(&octets[..], &headers);
        }
    }

    #[test]
    fn an_address_survives_a_round_trip(octets in any::<[u8; 16]>(), short in any::<[u8; 4]>()) {
        for address in [IpAddr::from(octets), IpAddr::from(short)] {
            prop_assert_eq!(IpAddr::from(Address::from(address)), address);
            prop_assert_eq!(Address::from(address).is_ipv4(), address.is_ipv4());
        }
    }
}

proptest! {
    #[test]
    fn a_bucket_survives_a_round_trip_as_one_word(gateway in any::<u16>(), next in any::<u16>(), last in any::<u32>()) {
        let bucket = Bucket { gateway, next, last };
        prop_assert_eq!(Bucket::from(u64::from(bucket)), bucket);
        prop_assert_eq!(u64::from(bucket) as u16, gateway);
    }

    /// Packets without a pause longer than the skew go to the old gateway. From the first packet after
    /// a longer pause on, all go to the new one. This also holds when the clock wraps around.
    #[test]
    fn a_moving_bucket_changes_gateway_at_the_first_pause_and_never_back(
        start in any::<u32>(), skew in 0..1u32 << 20, gaps in prop::collection::vec(0..1u32 << 21, 1..40),
    ) {
        let mut bucket = Bucket::moving(3, 5, start);
        let (mut now, mut paused) = (start, false);
        for gap in gaps {
            now = now.wrapping_add(gap);
            paused |= gap > skew;
            bucket = bucket.route(|| now, skew);
            prop_assert_eq!(bucket.gateway, if paused { 5 } else { 3 });
            prop_assert_eq!(bucket.is_moving(), !paused);
        }
    }

    /// Another CPU's clock may be slightly ahead of this CPU's.
    #[test]
    fn a_time_in_the_future_is_no_pause(now in any::<u32>(), ahead in 0..1u32 << 20) {
        let bucket = Bucket::moving(3, 5, now.wrapping_add(ahead));
        prop_assert_eq!(bucket.route(|| now, 0).gateway, 3);
    }
}

/// The clock is a helper call in the kernel. A bucket that does not move must not pay for the call.
#[test]
fn a_bucket_that_does_not_move_reads_no_clock() {
    let bucket = Bucket::direct(7);
    assert_eq!(bucket.route(|| panic!("the clock was read"), 0), bucket);
}

/// GRE has no ports: its key may differ between the two directions.
#[test]
fn ports_distinguish_flows_of_protocols_with_ports() {
    for [a, b] in [[1, 2].map(Address::v4), [1, 2].map(Address::v6)] {
        for protocol in 0..=u8::MAX {
            if matches!(protocol, 0 | 43 | 44 | 60) {
                continue;
            }
            let [one, other] =
                [7, 8].map(|port| key(&frame(a, b, protocol, Part::Whole, &ports(port, 9))));
            let has_ports = matches!(protocol, 6 | 17 | 33 | 132 | 136);
            assert_eq!(one != other, has_ports, "protocol {protocol}");
        }
    }
}

#[test]
fn an_echo_request_and_its_reply_have_one_key() {
    for [a, b, router] in [[1, 2, 3].map(Address::v4), [1, 2, 3].map(Address::v6)] {
        let (icmp, echo, reply) = icmp(a);
        let message = |kind, id| [kind, 0, 0, 0, 0, id, 0, 1];
        let request = frame(a, b, icmp, Part::Whole, &message(echo, 7));
        let answer = frame(b, a, icmp, Part::Whole, &message(reply, 7));
        let other = frame(a, b, icmp, Part::Whole, &message(echo, 8));
        assert_eq!(key(&request), key(&answer));
        assert_ne!(key(&request), key(&other));

        let exceeded = if a.is_ipv4() { 11 } else { 3 };
        let quote = [&message(exceeded, 0)[..], &request[ETHERNET..]].concat();
        let error = frame(router, a, icmp, Part::Whole, &quote);
        assert_eq!(key(&request), key(&error));
    }
}

/// ICMPv6 in IPv4 and ICMP in IPv6 are treated as opaque payload.
#[test]
fn each_family_has_its_own_icmp() {
    let echo = |protocol, kind| {
        let [a, b] = [Address::v4(1), Address::v4(2)];
        key(&frame(
            a,
            b,
            protocol,
            Part::Whole,
            &[kind, 0, 0, 0, 0, 7, 0, 1],
        ))
    };
    assert_eq!(echo(protocol::ICMPV6, 128).low.1, 0);
    assert_eq!(echo(protocol::ICMP, 8).low.1, 7);
}

/// RFC 8200 section 4.4: with segments left the packet continues to another address, so its payload
/// is not for this one.
#[test]
fn a_packet_with_segments_left_is_not_opened() {
    let [a, b] = [Address::v6(1), Address::v6(2)];
    let with = |left| {
        behind(
            a,
            b,
            &[(43, vec![0, 4, left, 0, 0, 0, 0])],
            protocol::ESP,
            &[9; 16],
        )
    };
    let inbound = |frame: &[u8]| {
        Inbound::of(
            frame,
            &Headers::parse(frame, ETHERNET).expect("a proper frame"),
        )
    };
    assert!(matches!(inbound(&with(0)), Inbound::Esp { .. }));
    assert_eq!(inbound(&with(1)), Inbound::Other);
}

/// `Address` stores IPv4 as IPv4-mapped, so a mapped address in an IPv6 header would pass for IPv4.
#[test]
fn a_mapped_address_on_the_wire_is_malformed() {
    let [a, mapped] = [Address::v6(1), Address::v4(0x0a02_0001)];
    for (from, to) in [(a, mapped), (mapped, a)] {
        let frame = behind(from, to, &[], protocol::TCP, &ports(1, 2));
        assert_eq!(Headers::parse(&frame[..], ETHERNET), Err(Malformed));
    }
}

/// Ethernet padding and octets behind a UDP datagram do not belong to the ESP packet. A datagram
/// whose length exceeds its packet is truncated.
#[test]
fn esp_ends_at_its_innermost_length() {
    let inbound = |protocol, payload: &[u8], padding: usize| {
        let [a, b] = [Address::v4(1), Address::v4(2)];
        let mut frame = frame(a, b, protocol, Part::Whole, payload);
        frame.resize(frame.len() + padding, 0);
        let headers = Headers::parse(&frame[..], ETHERNET).expect("a proper frame");
        Inbound::of(&frame[..], &headers)
    };
    let esp = [0, 0, 0x10, 1, 0, 0, 0, 1, 9, 9, 9, 9];
    let udp = |length: u16| {
        let header = [4500, 4500, length, 0].map(u16::to_be_bytes).concat();
        [&header[..], &esp].concat()
    };
    let found = |at, length| Inbound::Esp {
        at,
        end: at + length,
        spi: 0x1001,
    };
    assert_eq!(inbound(protocol::ESP, &esp, 6), found(34, 12));
    assert_eq!(inbound(protocol::ESP, &esp[..7], 6), Inbound::EspTruncated);
    assert_eq!(inbound(protocol::UDP, &udp(20), 6), found(42, 12));
    assert_eq!(inbound(protocol::UDP, &udp(16), 0), found(42, 8));
    for cut in [0, 7, 8, 15, 21, u16::MAX] {
        assert_eq!(
            inbound(protocol::UDP, &udp(cut), 6),
            Inbound::EspTruncated,
            "a datagram of {cut}"
        );
    }
}

#[test]
fn ports_are_not_read_from_the_padding_behind_a_packet() {
    for [a, b] in [[1, 2].map(Address::v4), [1, 2].map(Address::v6)] {
        let mut cut = frame(a, b, protocol::TCP, Part::Whole, &[0x12]);
        let alone = key(&cut);
        cut.extend([0xee; 24]);
        assert_eq!(key(&cut), alone);
    }
}

/// The flows of one client with many ports spread evenly over ten gateways. A sum of ports in place
/// of the hash would fail here.
#[test]
fn the_ports_of_one_client_spread_evenly() {
    let hash = SteerHash::new(*b"a key for tests.");
    for [client, server] in [[1, 2].map(Address::v4), [1, 2].map(Address::v6)] {
        let mut shares = [0u32; 10];
        for port in 1024..=u16::MAX {
            let flow = FlowKey::new(protocol::TCP, (client, port), (server, 443));
            shares[(hash.bucket(&flow) % 10) as usize] += 1;
        }
        let mean = f64::from(u16::MAX - 1023) / 10.0;
        for share in shares {
            assert!((f64::from(share) / mean - 1.0).abs() < 0.05, "{shares:?}");
        }
    }
}
