//! Law 5, the part that needs no kernel: a flow and its answer meet one bucket.

use std::hash::Hasher;

use causeway_steering::headers::{ETHERNET, protocol};
use causeway_steering::{Address, BUCKETS, FlowKey, Headers, Inbound, SteerHash};
use proptest::prelude::*;
use siphasher::sip::SipHasher13;

fn frame(source: u32, destination: u32, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET];
    frame.extend([0x45, 0]);
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, protocol, 0, 0]);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    frame.extend(payload);
    frame
}

fn key(frame: &[u8]) -> FlowKey {
    let headers = Headers::parse(frame, ETHERNET).expect("a proper frame");
    FlowKey::of(frame, &headers)
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    [ports, vec![0; 16]].concat()
}

proptest! {
    #[test]
    fn a_flow_and_its_answer_have_one_hash(
        hash in any::<[u8; 16]>(),
        a in any::<u32>(), b in any::<u32>(), pa in any::<u16>(), pb in any::<u16>(),
        proto in prop::sample::select(vec![protocol::TCP, protocol::UDP, protocol::SCTP, 47]),
    ) {
        let hash = SteerHash::new(hash);
        let there = key(&frame(a, b, proto, 0, &ports(pa, pb)));
        let back = key(&frame(b, a, proto, 0, &ports(pb, pa)));
        prop_assert_eq!(there, back);
        prop_assert_eq!(hash.hash(&there), hash.hash(&back));
        prop_assert!(hash.bucket(&there) < BUCKETS);
    }

    #[test]
    fn the_hash_is_siphash_1_3(
        key in any::<[u8; 16]>(), a in any::<u32>(), b in any::<u32>(),
        pa in any::<u16>(), pb in any::<u16>(), protocol in any::<u8>(),
    ) {
        let flow = FlowKey::new(protocol, (Address::v4(a), pa), (Address::v4(b), pb));
        let (low, high) = if (a, pa) < (b, pb) { ((a, pa), (b, pb)) } else { ((b, pb), (a, pa)) };
        let end = |(address, port)| u64::from(address) << 16 | u64::from(port);
        let mut reference = SipHasher13::new_with_key(&key);
        reference.write(&(end(low) | u64::from(protocol) << 48).to_le_bytes());
        reference.write(&end(high).to_le_bytes());
        prop_assert_eq!(SteerHash::new(key).hash(&flow), reference.finish());
    }

    #[test]
    fn all_fragments_of_a_packet_have_one_key(
        a in any::<u32>(), b in any::<u32>(), first in any::<[u8; 24]>(), rest in any::<[u8; 24]>(),
        proto in prop::sample::select(vec![protocol::TCP, protocol::UDP, protocol::ICMP]),
    ) {
        let head = key(&frame(a, b, proto, 0x2000, &first));
        prop_assert_eq!(head, key(&frame(a, b, proto, 0x2003, &rest)));
        prop_assert_eq!(head, key(&frame(b, a, proto, 0x0006, &rest)));
    }

    #[test]
    fn an_icmp_error_has_the_key_of_the_packet_that_it_quotes(
        a in any::<u32>(), b in any::<u32>(), router in any::<u32>(), pa in any::<u16>(), pb in any::<u16>(),
        proto in prop::sample::select(vec![protocol::TCP, protocol::UDP]),
        kind in prop::sample::select(vec![3u8, 4, 5, 11, 12]),
    ) {
        let packet = frame(a, b, proto, 0, &ports(pa, pb));
        let quote = [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &packet[ETHERNET..]].concat();
        let error = frame(router, a, protocol::ICMP, 0, &quote);
        prop_assert_eq!(key(&packet), key(&error));
    }

    #[test]
    fn no_octets_are_read_beyond_the_packet(octets in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(headers) = Headers::parse(&octets[..], ETHERNET) {
            FlowKey::of(&octets[..], &headers);
            Inbound::of(&octets[..], &headers);
        }
    }
}

#[test]
fn an_echo_and_its_answer_have_one_key() {
    let request = frame(1, 2, protocol::ICMP, 0, &[8, 0, 0, 0, 0, 7, 0, 1]);
    let answer = frame(2, 1, protocol::ICMP, 0, &[0, 0, 0, 0, 0, 7, 0, 1]);
    let other = frame(1, 2, protocol::ICMP, 0, &[8, 0, 0, 0, 0, 8, 0, 1]);
    assert_eq!(key(&request), key(&answer));
    assert_ne!(key(&request), key(&other));

    let quote = [&[11, 0, 0, 0, 0, 0, 0, 0][..], &request[ETHERNET..]].concat();
    let error = frame(3, 1, protocol::ICMP, 0, &quote);
    assert_eq!(key(&request), key(&error));
}

/// Ethernet padding and octets behind a UDP datagram are no part of ESP; a datagram that claims
/// more than its packet has is cut.
#[test]
fn esp_ends_where_its_innermost_length_says() {
    let inbound = |protocol, payload: &[u8], padding: usize| {
        let mut frame = frame(1, 2, protocol, 0, payload);
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
    let mut cut = frame(1, 2, protocol::TCP, 0, &[0x12]);
    let alone = key(&cut);
    cut.extend([0xee; 24]);
    assert_eq!(key(&cut), alone);
}

/// One client with many ports: the largest of ten shares stays near a tenth. A sum of ports
/// instead of a hash would fail here.
#[test]
fn the_ports_of_one_client_spread_evenly() {
    let hash = SteerHash::new(*b"a key for tests.");
    let mut shares = [0u32; 10];
    for port in 1024..=u16::MAX {
        let client = Address::v4(0x0a01_0005);
        let server = Address::v4(0x0a02_0005);
        let flow = FlowKey::new(protocol::TCP, (client, port), (server, 443));
        shares[(hash.bucket(&flow) % 10) as usize] += 1;
    }
    let mean = f64::from(u16::MAX - 1023) / 10.0;
    for share in shares {
        assert!((f64::from(share) / mean - 1.0).abs() < 0.05, "{shares:?}");
    }
}
