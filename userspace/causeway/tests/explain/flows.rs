//! Flows, frames and files on the command line.

use causeway::explain::flow::{Flow, Payload};
use causeway::explain::input::Input;
use causeway_steering::headers::{ETHERNET, Headers};
use proptest::prelude::*;

#[test]
fn invalid_input_is_refused_with_the_expected_form() {
    for (text, expected) in [
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
            "are of different address families",
        ),
        (
            "::ffff:10.1.0.5 > 2001:db8::1 17",
            "is an IPv4-mapped address",
        ),
        ("10.1.0.5 > 10.2.0.7 quic", "expected tcp, udp, sctp,"),
        ("10.1.0.5 > 10.2.0.7 256", "got \"256\""),
        (
            "10.1.0.5 > 10.2.0.7 tcp",
            "udp-lite need a port at both ends",
        ),
        (
            "10.1.0.5:1 > 10.2.0.7 tcp",
            "udp-lite need a port at both ends",
        ),
        (
            "10.1.0.5:1 > 10.2.0.7:2 icmp",
            "only tcp, udp, sctp, dccp and udp-lite",
        ),
        (
            "10.1.0.5:1 > 10.2.0.7:2 tcp fragment",
            "a later fragment has none",
        ),
        ("10.1.0.5:1 > 10.2.0.7:2 tcp syn", "got \"syn\""),
        (
            "10.1.0.5 > 10.2.0.7 icmpv6",
            "icmpv6 does not fit this address family; write icmp",
        ),
        ("fe80::1 > fe80::2 icmp", "write icmpv6"),
        (
            "10.1.0.5 > 10.2.0.7 icmp id 65536",
            "expected an identifier",
        ),
        ("10.1.0.5 > 10.2.0.7 icmp 7", "`id N` after icmp"),
        ("10.1.0.5 > 10.2.0.7 esp", "`spi N` after esp"),
        ("10.1.0.5 > 10.2.0.7 esp spi 0x1ffffffff", "expected an SPI"),
        ("10.1.0.5 > 10.2.0.7 esp spi", "got \"spi\""),
    ] {
        let error = text.parse::<Input>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for (text, expected) in [
        ("", "got nothing"),
        (" \n", "got nothing"),
        ("abc", "pairs of hex digits"),
    ] {
        let error = text.parse::<Input>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let long = "00".repeat(3521);
    let error = long.parse::<Input>().expect_err("a long frame").to_string();
    assert!(error.contains("3521 octets"), "{error}");
}

#[test]
fn hex_digits_may_have_gaps_and_other_text_is_a_file() {
    for hex in ["02 00\n00:00 0a0B", "02000000 0a0b"] {
        let input = hex.parse();
        let frame = causeway_api::packet::Packet::Frame(vec![2, 0, 0, 0, 10, 11]);
        assert_eq!(input, Ok(Input::Packet(frame)));
    }
    for path in ["eth0.pcap", "./abcd", "/tmp/0.pcapng"] {
        assert_eq!(path.parse(), Ok(Input::Capture(path.into())));
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
    // No IPv6 extension header, because the parser would read the payload as one.
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
    fn text_of_a_flow_parses_to_the_same_flow(flow in flow()) {
        prop_assert_eq!(flow.to_string().parse::<Flow>(), Ok(flow));
        prop_assert_eq!(flow.reply().reply(), flow);
    }

    /// The shared parser reads the flow from its packet.
    #[test]
    fn the_packet_of_a_flow_parses_to_the_flow(flow in flow()) {
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
    fn any_text_is_parsed_without_panic(text in "\\PC{0,60}", more in "[0-9a-f:.> ]{0,40} (tcp|esp|icmp|id|spi|fragment| ){0,3}") {
        let _ = text.parse::<Input>();
        let _ = more.parse::<Input>();
    }
}
