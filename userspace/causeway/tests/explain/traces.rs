//! A trace ends with the verdict of the XDP program, for any packet.

use std::time::Duration;

use causeway_api::explain::{Query, Step, TableState, Trace};
use causeway_api::packet::Packet;
use causeway_api::status::PeerTable;
use causeway_demux::Steering;
use causeway_kernel_tests::corpus::corpus;
use causeway_kernel_tests::packet::OWN_MAC;
use causeway_kernel_tests::world::steering;
use causeway_node::explain::{Names, Peering, answer, end, trace};
use causeway_steering::{BUCKETS, Bucket, Verdict, decide};
use proptest::prelude::*;

const PEERINGS: [&str; 4] = ["remote", "local", "unresolved", "without-socket"];

fn names(tables: &Steering) -> Names {
    let prefixes = tables
        .peerings
        .iter()
        .map(|peering| peering.prefixes.clone());
    Names {
        peerings: PEERINGS
            .into_iter()
            .zip(prefixes)
            .map(|(name, prefixes)| Peering {
                name: name.to_owned(),
                prefixes,
                table: None,
            })
            .collect(),
        gateways: (0..tables.gateways.len() as u8)
            .map(|at| (format!("gateway-{at}"), Some([10, 1, 0, 101 + at].into())))
            .collect(),
        live: true,
    }
}

/// Tables in which every second bucket of the first two peerings moves; some of these buckets are idle.
fn moving() -> Steering {
    let mut tables = steering();
    tables.now = 1_000_000;
    tables.skew = Duration::from_millis(2);
    for peering in &mut tables.peerings[..2] {
        for (bucket, last) in peering
            .buckets
            .iter_mut()
            .step_by(2)
            .zip((0..).step_by(997))
        {
            let next = (bucket.gateway ^ 1) & 3;
            *bucket = Bucket::moving(bucket.gateway, next, last % 1_000_000);
        }
    }
    tables
}

/// Checks that the trace ends with the verdict, and that no step contradicts it.
fn checked(frame: &[u8], tables: &Steering) -> Trace {
    let names = names(tables);
    let trace = trace(frame, tables, &names);
    let verdict = decide(frame, tables);
    let (end, counter) = end(verdict, &names);
    assert_eq!(
        (&trace.end, &trace.counter),
        (&end, &counter),
        "{verdict:?}"
    );
    let gateway = match verdict {
        Verdict::Local { gateway, .. } | Verdict::Remote { gateway, .. } => Some(gateway),
        _ => None,
    };
    let mut bucket_of_step = None;
    for step in &trace.steps {
        match step {
            Step::Bucket { hash, bucket, .. } => {
                let hash = u64::from_str_radix(&hash[2..], 16).expect("a hash");
                assert_eq!(hash as u32 % BUCKETS, *bucket);
                bucket_of_step = Some(*bucket);
            }
            Step::Entry {
                gateway: in_table,
                moves,
                ..
            } => {
                let next = match moves {
                    Some(moves) if moves.now => Some(&moves.to),
                    _ => in_table.as_ref(),
                };
                if let Some(gateway) = gateway {
                    assert_eq!(next, Some(&format!("gateway-{gateway}")));
                }
            }
            Step::Gateway { gateway: name, .. } => {
                if let Some(gateway) = gateway {
                    assert_eq!(*name, format!("gateway-{gateway}"));
                }
            }
            _ => {}
        }
    }
    if gateway.is_some() {
        assert!(bucket_of_step.is_some(), "steered without a bucket");
    }
    let json = serde_json::to_string(&trace).expect("a trace is JSON");
    let again: Trace = serde_json::from_str(&json).expect("JSON is a trace");
    assert_eq!(again, trace);
    assert!(!trace.to_string().is_empty() && !trace.subject().is_empty());
    assert!(trace.summary().is_ascii());
    trace
}

#[test]
fn the_trace_of_each_corpus_packet_ends_with_its_verdict() {
    for tables in [steering(), moving()] {
        for case in corpus() {
            checked(&case.frame, &tables);
        }
    }
}

/// The text for one packet of each kind.
#[test]
fn the_text_has_each_lookup() {
    let tables = steering();
    let text = |name: &str| {
        let case = corpus().into_iter().find(|case| case.name == name);
        checked(&case.expect("a case of the corpus").frame, &tables).to_string()
    };
    for (name, phrases) in [
        (
            "TCP to a peer",
            &[
                "the NIC's own; IPv4",
                "10.2.0.10 belongs to peering remote, prefix 10.2.0.0/16",
                "10.1.0.10:1234 and 10.2.0.10:443, tcp; one key for both directions",
                "of 4096, by the keyed hash 0x",
                "on the host 10.1.0.10",
                "counted in   causeway_steering_to_gateway_packets_total",
            ][..],
        ),
        ("tags: TCP to a peer", &["the NIC's own; VLAN "]),
        ("a later fragment", &["a fragment", "udp, without ports"]),
        ("an echo request", &["icmp, id 7"]),
        (
            "an ICMP error",
            &["of the packet in the ICMP error: 10.1.0.10:5353 and 10.2.0.10:53, udp"],
        ),
        (
            "ARP",
            &[
                "ff:ff:ff:ff:ff:ff, not the NIC's 02:00:00:00:01:64; ARP",
                "kernel, arp",
            ],
        ),
    ] {
        let text = text(name);
        for phrase in phrases {
            assert!(text.contains(phrase), "{name}: no {phrase:?} in\n{text}");
        }
    }
}

/// The query for the peer's demux uses the same table, so a flow and its reply take one pair.
#[test]
fn a_flow_and_its_reply_take_one_pair() {
    let tables = steering();
    let names = names(&tables);
    for text in [
        "10.1.0.5:1234 > 10.2.0.7:443 tcp",
        "[2001:db8:1::5]:9 > [2001:db8:2::7]:53 udp",
        "10.1.0.5 > 10.2.7.7 icmp id 77",
        "10.1.0.5 > 10.2.0.7 udp fragment",
        "10.1.0.5 > 10.2.0.7 47",
    ] {
        let flow: causeway::explain::flow::Flow = text.parse().expect(text);
        let trace = |flow: causeway::explain::flow::Flow, at_peer| {
            let packet = Packet::Ip(flow.packet());
            let query = Query {
                packet,
                queue: 0,
                at_peer,
            };
            answer(&query, &tables, &names)
        };
        let shared = |trace: &Trace| -> Vec<Step> {
            let steps = trace.steps.iter();
            steps
                .filter(|step| {
                    matches!(
                        step,
                        Step::Flow { .. } | Step::Bucket { .. } | Step::Entry { .. }
                    )
                })
                .cloned()
                .collect()
        };
        let (there, back) = (trace(flow, false), trace(flow.reply(), true));
        assert_eq!(shared(&there).len(), 3, "{text}: {there}");
        assert_eq!(shared(&there), shared(&back), "{text}");
        // This demux does not steer the reply.
        assert!(!trace(flow.reply(), false).is_steered(), "{text}");
    }
}

/// The line of the bucket has the table's epoch and the state of the peer's table.
#[test]
fn the_tables_epoch_is_printed() {
    let tables = steering();
    let mut names = names(&tables);
    let case = corpus()
        .into_iter()
        .find(|case| case.name == "TCP to a peer");
    let frame = case.expect("a case of the corpus").frame;
    for (peer, expected) in [
        (None, "epoch 7, digest 00c0ffee, changing to 8: gateway-"),
        (
            Some(PeerTable::Same),
            "changing to 8, the peer has the same table: gateway-",
        ),
        (Some(PeerTable::Behind), "the peer is one change behind: "),
        (
            Some(PeerTable::Differs),
            "TABLES DIFFER: the peer has another table: ",
        ),
    ] {
        names.peerings[0].table = Some(TableState {
            epoch: 7,
            digest: "00c0ffee".to_owned(),
            changing_to: Some(8),
            peer,
        });
        let text = trace(&frame, &tables, &names).to_string();
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}

/// A packet of the corpus with some octets changed, cut off or lengthened.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let frames: Vec<_> = corpus().into_iter().map(|case| case.frame).collect();
    let changes = prop::collection::vec((0..80usize, any::<u8>()), 0..4);
    let length = prop::option::of(0..120usize);
    (prop::sample::select(frames), changes, length).prop_map(|(mut frame, changes, length)| {
        for (at, value) in changes {
            if let Some(octet) = frame.get_mut(at) {
                *octet = value;
            }
        }
        if let Some(length) = length {
            frame.resize(length, 0);
        }
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_trace_of_a_changed_packet_ends_with_its_verdict(frame in changed()) {
        checked(&frame, &moving());
    }

    #[test]
    fn the_trace_of_any_octets_ends_with_their_verdict(octets in prop::collection::vec(any::<u8>(), 0..100)) {
        let tables = moving();
        checked(&octets, &tables);
        let to_us = [&OWN_MAC[..], &octets].concat();
        checked(&to_us, &tables);
        for packet in [Packet::Ip(octets.clone()), Packet::Frame(octets)] {
            for at_peer in [false, true] {
                let query = Query { packet: packet.clone(), queue: 1, at_peer };
                answer(&query, &tables, &names(&tables));
                let text = serde_json::to_string(&query).expect("a query is JSON");
                prop_assert_eq!(serde_json::from_str::<Query>(&text).expect("JSON"), query);
            }
        }
    }
}
