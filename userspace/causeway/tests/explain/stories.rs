//! The story's end is the verdict, whatever the packet.

use std::time::Duration;

use causeway::explain::names::{Peering, Standing};
use causeway::explain::{End, Names, Packet, Question, Step, Story, tell};
use causeway::status::PeerTable;
use causeway_demux::Steering;
use causeway_kernel_tests::corpus::corpus;
use causeway_kernel_tests::packet::OWN_MAC;
use causeway_kernel_tests::world::steering;
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

/// Tables in which every second bucket of the first two peerings moves, some of them idle.
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

/// The laws of a story: its end is the verdict, and the steps say nothing else.
fn hold(frame: &[u8], tables: &Steering) -> Story {
    let names = names(tables);
    let story = tell(frame, tables, &names);
    let verdict = decide(frame, tables);
    let (end, counter) = End::of(verdict, &names);
    assert_eq!(
        (&story.end, &story.counter),
        (&end, &counter),
        "{verdict:?}"
    );
    let gateway = match verdict {
        Verdict::Local { gateway, .. } | Verdict::Remote { gateway, .. } => Some(gateway),
        _ => None,
    };
    let mut bucket_of_step = None;
    for step in &story.steps {
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
                let way = match moves {
                    Some(moves) if moves.now => Some(&moves.to),
                    _ => in_table.as_ref(),
                };
                if let Some(gateway) = gateway {
                    assert_eq!(way, Some(&format!("gateway-{gateway}")));
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
    let json = serde_json::to_string(&story).expect("a story is JSON");
    let again: Story = serde_json::from_str(&json).expect("JSON is a story");
    assert_eq!(again, story);
    assert!(!story.to_string().is_empty() && !story.subject().is_empty());
    assert!(story.end_in_short().is_ascii());
    story
}

#[test]
fn every_packet_of_the_corpus_is_told_as_it_ends() {
    for tables in [steering(), moving()] {
        for case in corpus() {
            hold(&case.frame, &tables);
        }
    }
}

/// What is told of one packet of each kind, in full.
#[test]
fn the_words_say_what_happened() {
    let tables = steering();
    let told = |name: &str| {
        let case = corpus().into_iter().find(|case| case.name == name);
        hold(&case.expect("a case of the corpus").frame, &tables).to_string()
    };
    for (name, phrases) in [
        (
            "TCP to a peer",
            &[
                "the NIC's own; IPv4",
                "10.2.0.10 is of peering remote, by its prefix 10.2.0.0/16",
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
            &["of the packet that the ICMP error quotes: 10.1.0.10:5353 and 10.2.0.10:53, udp"],
        ),
        (
            "ARP",
            &[
                "ff:ff:ff:ff:ff:ff, not the NIC's 02:00:00:00:01:64; ARP",
                "kernel, arp",
            ],
        ),
    ] {
        let story = told(name);
        for phrase in phrases {
            assert!(story.contains(phrase), "{name}: no {phrase:?} in\n{story}");
        }
    }
}

/// The peer's demux is asked by the same table, so a flow and its answer meet one pair.
#[test]
fn a_flow_and_its_answer_meet_one_gateway() {
    let tables = steering();
    let names = names(&tables);
    for words in [
        "10.1.0.5:1234 > 10.2.0.7:443 tcp",
        "[2001:db8:1::5]:9 > [2001:db8:2::7]:53 udp",
        "10.1.0.5 > 10.2.7.7 icmp id 77",
        "10.1.0.5 > 10.2.0.7 udp fragment",
        "10.1.0.5 > 10.2.0.7 47",
    ] {
        let flow: causeway::explain::flow::Flow = words.parse().expect(words);
        let ask = |flow: causeway::explain::flow::Flow, at_peer| {
            let packet = Packet::Ip(flow.packet());
            let question = Question {
                packet,
                queue: 0,
                at_peer,
            };
            question.answer(&tables, &names)
        };
        let shared = |story: &Story| -> Vec<Step> {
            let steps = story.steps.iter();
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
        let (there, back) = (ask(flow, false), ask(flow.answer(), true));
        assert_eq!(shared(&there).len(), 3, "{words}: {there}");
        assert_eq!(shared(&there), shared(&back), "{words}");
        // Here the answer is no peer's.
        assert!(!ask(flow.answer(), false).is_steered(), "{words}");
    }
}

/// How the table stands is told with the bucket.
#[test]
fn the_tables_epoch_is_told() {
    let tables = steering();
    let mut names = names(&tables);
    let case = corpus()
        .into_iter()
        .find(|case| case.name == "TCP to a peer");
    let frame = case.expect("a case of the corpus").frame;
    for (peer, words) in [
        (None, "epoch 7, digest 00c0ffee, changing to 8: gateway-"),
        (
            Some(PeerTable::Same),
            "changing to 8, the peer's the same: gateway-",
        ),
        (Some(PeerTable::Behind), "the peer's one change behind: "),
        (Some(PeerTable::Differs), "THE PEER'S ANOTHER ONE: "),
    ] {
        names.peerings[0].table = Some(Standing {
            epoch: 7,
            digest: "00c0ffee".to_owned(),
            changing_to: Some(8),
            peer,
        });
        let story = tell(&frame, &tables, &names).to_string();
        assert!(story.contains(words), "no {words:?} in\n{story}");
    }
}

/// A packet of the corpus with some octets changed and its end cut off or lengthened.
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
    fn a_changed_packet_is_told_as_it_ends(frame in changed()) {
        hold(&frame, &moving());
    }

    #[test]
    fn any_octets_are_told_as_they_end(octets in prop::collection::vec(any::<u8>(), 0..100)) {
        let tables = moving();
        hold(&octets, &tables);
        let to_us = [&OWN_MAC[..], &octets].concat();
        hold(&to_us, &tables);
        for packet in [Packet::Ip(octets.clone()), Packet::Frame(octets)] {
            for at_peer in [false, true] {
                let question = Question { packet: packet.clone(), queue: 1, at_peer };
                question.answer(&tables, &names(&tables));
                let text = serde_json::to_string(&question).expect("a question is JSON");
                prop_assert_eq!(serde_json::from_str::<Question>(&text).expect("JSON"), question);
            }
        }
    }
}
