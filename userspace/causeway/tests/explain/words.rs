//! Flows in words.

use causeway::explain::flow::{Flow, Payload};
use causeway::explain::subject::Subject;
use causeway_steering::headers::{ETHERNET, Headers};
use proptest::prelude::*;

#[test]
fn what_is_no_flow_is_refused_with_what_was_expected() {
    for (words, expected) in [
        ("10.1.0.5:1234 >", "expected SOURCE > DESTINATION PROTOCOL"),
        (">", "expected SOURCE > DESTINATION PROTOCOL"),
        (
            "10.1.0.5:1234 > 10.2.0.7:443",
            "expected SOURCE > DESTINATION PROTOCOL",
        ),
        (
            "10.1.0:1 > 10.2.0.7:443 tcp",
            "expected an address, with a port as",
        ),
        (
            "10.1.0.5:70000 > 10.2.0.7:443 tcp",
            "got \"10.1.0.5:70000\"",
        ),
        (
            "10.1.0.5:1 > 10.2.0.7:1 > 10.2.0.7 tcp",
            "expected tcp, udp",
        ),
        ("host > 10.2.0.7:443 tcp", "got \"host\""),
        (
            "10.1.0.5:1 > [2001:db8::1]:2 tcp",
            "are of different families",
        ),
        ("::ffff:10.1.0.5 > 2001:db8::1 17", "is IPv4-mapped"),
        ("10.1.0.5 > 10.2.0.7 quic", "expected tcp, udp, sctp,"),
        ("10.1.0.5 > 10.2.0.7 256", "got \"256\""),
        (
            "10.1.0.5 > 10.2.0.7 tcp",
            "both ends of tcp, udp, sctp, dccp and udp-lite have a port",
        ),
        (
            "10.1.0.5:1 > 10.2.0.7 tcp",
            "both ends of tcp, udp, sctp, dccp and udp-lite have a port",
        ),
        (
            "10.1.0.5:1 > 10.2.0.7:2 icmp",
            "only tcp, udp, sctp, dccp and udp-lite",
        ),
        (
            "10.1.0.5:1 > 10.2.0.7:2 tcp fragment",
            "only the first fragment",
        ),
        ("10.1.0.5:1 > 10.2.0.7:2 tcp syn", "got \"syn\""),
        (
            "10.1.0.5 > 10.2.0.7 icmpv6",
            "is not the ICMP of this family; write icmp",
        ),
        ("fe80::1 > fe80::2 icmp", "write icmpv6"),
        (
            "10.1.0.5 > 10.2.0.7 icmp id 65536",
            "expected an identifier",
        ),
        ("10.1.0.5 > 10.2.0.7 icmp 7", "`id N` behind icmp"),
        ("10.1.0.5 > 10.2.0.7 esp", "`spi N` behind esp"),
        ("10.1.0.5 > 10.2.0.7 esp spi 0x1ffffffff", "expected an SPI"),
        ("10.1.0.5 > 10.2.0.7 esp spi", "got \"spi\""),
    ] {
        let error = words.parse::<Subject>().expect_err(words).to_string();
        assert!(error.contains(expected), "{words}: {error}");
    }
    for (words, expected) in [
        ("", "got nothing"),
        (" \n", "got nothing"),
        ("abc", "pairs of hex digits"),
    ] {
        let error = words.parse::<Subject>().expect_err(words).to_string();
        assert!(error.contains(expected), "{words:?}: {error}");
    }
    let long = "00".repeat(3521);
    let error = long
        .parse::<Subject>()
        .expect_err("a long frame")
        .to_string();
    assert!(error.contains("3521 octets"), "{error}");
}

#[test]
fn hex_is_read_with_gaps_and_other_words_are_files() {
    for hex in ["02 00\n00:00 0a0B", "02000000 0a0b"] {
        let subject = hex.parse();
        let frame = causeway::explain::Packet::Frame(vec![2, 0, 0, 0, 10, 11]);
        assert_eq!(subject, Ok(Subject::Packet(frame)));
    }
    for path in ["eth0.pcap", "./abcd", "/tmp/0.pcapng"] {
        assert_eq!(path.parse(), Ok(Subject::Capture(path.into())));
    }
}

fn flow() -> impl Strategy<Value = Flow> {
    let ends = prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|ends| ends.map(Into::into)),
        any::<[[u8; 15]; 2]>().prop_map(|ends| ends.map(|end| {
            let mut octets = [0x20; 16];
            octets[1..].copy_from_slice(&end);
            octets.into()
        })),
    ];
    let ported = prop::sample::select(vec![6u8, 17, 33, 132, 136]);
    // Not what the parser looks behind: an extension header of the words' own would be read as one.
    let other = (61..=131u8).prop_filter("ICMPv6 is an echo", |protocol| *protocol != 58);
    let payload = prop_oneof![
        (ported, any::<[u16; 2]>()).prop_map(|(protocol, [source, destination])| {
            Payload::Ports {
                protocol,
                source,
                destination,
            }
        }),
        any::<u16>().prop_map(|identifier| Payload::Echo {
            identifier,
            reply: false
        }),
        any::<u32>().prop_map(|spi| Payload::Esp { spi }),
        (61..=131u8).prop_map(|protocol| Payload::Fragment { protocol }),
        other.prop_map(|protocol| Payload::Other { protocol }),
    ];
    (ends, payload).prop_map(|([source, destination], payload)| Flow {
        source,
        destination,
        payload,
    })
}

proptest! {
    #[test]
    fn a_flow_is_read_as_it_is_written(flow in flow()) {
        prop_assert_eq!(flow.to_string().parse::<Flow>(), Ok(flow));
        prop_assert_eq!(flow.answer().answer(), flow);
    }

    /// Its packet is what the shared parser takes for it.
    #[test]
    fn a_flow_has_a_packet(flow in flow()) {
        let frame = [&[0; ETHERNET][..], &flow.packet()].concat();
        let headers = Headers::parse(&frame[..], ETHERNET);
        let Ok(headers) = headers else { panic!("{flow} is malformed") };
        prop_assert_eq!(std::net::IpAddr::from(headers.source), flow.source);
        prop_assert_eq!(std::net::IpAddr::from(headers.destination), flow.destination);
        prop_assert_eq!(headers.protocol, flow.protocol());
        prop_assert_eq!(headers.fragment, matches!(flow.payload, Payload::Fragment { .. }));
        prop_assert_eq!(headers.l3 + headers.total, frame.len());
    }

    #[test]
    fn any_words_are_read_without_panic(words in "\\PC{0,60}", more in "[0-9a-f:.> ]{0,40} (tcp|esp|icmp|id|spi|fragment| ){0,3}") {
        let _ = words.parse::<Subject>();
        let _ = more.parse::<Subject>();
    }
}
