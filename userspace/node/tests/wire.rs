//! Control messages as octets: each one decodes to itself, and any other input is refused.

use std::net::IpAddr;

use causeway_node::wire::{
    Ends, LONGEST, LONGEST_PACKET, Message, MessageAuth, MessageError, Outcome, PORT, Packet,
    PacketError, ReplyDatagram, RequestDatagram, TAG, build_packet, parse_packet,
};
use causeway_rescale::message::{
    FromGateway, HoldTimeoutAction, Marker, PeerMessage, Reply, Request, TableId, ToGateway,
};
use causeway_rescale::{BucketSet, Ordinal};
use proptest::prelude::*;

fn auth() -> MessageAuth {
    of_vpc("10.1.0.0/24")
}

fn of_vpc(prefix: &str) -> MessageAuth {
    MessageAuth::new(b"0123456789abcdef", &[prefix.parse().unwrap()])
}

fn ends(from: &str, to: &str) -> Ends {
    Ends {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    }
}

/// The ends of most messages.
fn there() -> Ends {
    ends("10.1.0.100", "10.1.0.101")
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ]
}

fn marker() -> impl Strategy<Value = Marker> {
    let table = any::<(u64, u64, u64)>().prop_map(|(epoch, digest, before)| TableId {
        epoch,
        digest,
        before,
    });
    (any::<(u64, u16, u16, u16)>(), table).prop_map(|((id, pair, worker, workers), table)| Marker {
        id,
        pair: Ordinal(pair),
        worker,
        workers,
        table,
    })
}

fn peer_message() -> impl Strategy<Value = PeerMessage> {
    let pair = || any::<(u64, u16)>().prop_map(|(id, pair)| (id, Ordinal(pair)));
    prop_oneof![
        marker().prop_map(PeerMessage::Marker),
        (marker(), marker()).prop_map(|(marker, other)| PeerMessage::Echo {
            marker,
            table: other.table,
        }),
        pair().prop_map(|(id, pair)| PeerMessage::Fence { id, pair }),
        (pair(), any::<bool>()).prop_map(|((id, pair), silent)| PeerMessage::Fenced {
            id,
            pair,
            silent
        }),
        pair().prop_map(|(id, pair)| PeerMessage::Lift { id, pair }),
        pair().prop_map(|(id, pair)| PeerMessage::Lifted { id, pair }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let ends = || (address(), address());
    let buckets = prop::collection::vec(0..causeway_steering::BUCKETS, 0..64);
    let hold_timeout_action =
        prop_oneof![Just(HoldTimeoutAction::Drop), Just(HoldTimeoutAction::Send)];
    prop_oneof![
        (ends(), marker()).prop_map(|((from, to), marker)| Request::Mark { from, to, marker }),
        (ends(), peer_message()).prop_map(|((from, to), message)| Request::SendToPeer {
            from,
            to,
            message
        }),
        (buckets, any::<u32>(), hold_timeout_action).prop_map(
            |(buckets, limit_ms, hold_timeout_action)| Request::Hold {
                buckets: buckets.into_iter().collect(),
                limit_ms,
                hold_timeout_action,
            }
        ),
        any::<u64>().prop_map(|hold| Request::Release { hold }),
        Just(Request::Fence),
        Just(Request::Lift),
        Just(Request::Reset),
    ]
}

fn to_gateway() -> impl Strategy<Value = RequestDatagram> {
    let numbers = any::<(u64, u64, u64)>();
    (any::<u64>(), "[a-z0-9._-]{1,63}", request(), numbers).prop_map(
        |(id, peering, request, (incarnation, sequence, recipient))| RequestDatagram {
            // As long as in use.
            incarnation: incarnation >> 6,
            sequence: sequence >> 29,
            recipient: recipient >> 32,
            request: ToGateway {
                id,
                peering,
                request,
            },
        },
    )
}

fn from_gateway() -> impl Strategy<Value = ReplyDatagram> {
    let reply = prop_oneof![
        Just(Reply::Sealed),
        Just(Reply::Held),
        any::<(u64, u64)>().prop_map(|(packets, dropped)| Reply::Released { packets, dropped }),
        Just(Reply::Fenced),
        Just(Reply::Lifted),
        Just(Reply::ResetDone),
        ".{0,64}".prop_map(|why| Reply::Refused { why }),
    ];
    let reply = (any::<(u64, u64)>(), reply).prop_map(|((id, boot), reply)| FromGateway {
        id,
        boot,
        reply,
    });
    let outcome = prop_oneof![
        reply.prop_map(Outcome::Reply),
        Just(Outcome::OtherProcess),
        Just(Outcome::Old),
    ];
    (any::<(u64, u64, u64, u64)>(), outcome).prop_map(
        |((boot, newest, recipient, answers), outcome)| ReplyDatagram {
            boot,
            newest,
            recipient,
            answers,
            outcome,
        },
    )
}

/// An encoded message decodes to itself. A changed, truncated or extended one is refused.
fn check<M: Message + PartialEq + std::fmt::Debug>(
    message: &M,
    index: prop::sample::Index,
    bit: u8,
) -> Result<(), TestCaseError> {
    let encoded = auth().encode(there(), message).expect("it fits");
    prop_assert!(encoded.len() <= LONGEST);
    prop_assert_eq!(
        &auth()
            .decode::<M>(there(), &encoded)
            .expect("the tag is right"),
        message
    );

    let mut changed = encoded.clone();
    changed[index.index(encoded.len())] ^= 1 << bit;
    prop_assert!(auth().decode::<M>(there(), &changed).is_err());
    let cut = &encoded[..index.index(encoded.len())];
    prop_assert!(auth().decode::<M>(there(), cut).is_err());
    let mut longer = encoded.clone();
    longer.insert(index.index(encoded.len()), bit);
    prop_assert!(auth().decode::<M>(there(), &longer).is_err());

    let other = MessageAuth::new(b"0123456789abcdeg", &["10.1.0.0/24".parse().unwrap()]);
    prop_assert_eq!(
        other.decode::<M>(there(), &encoded).err(),
        Some(MessageError::Forged)
    );
    Ok(())
}

proptest! {
    #[test]
    fn requests_decode_to_themselves(m in to_gateway(), at: prop::sample::Index, bit in 0u8..8) {
        check(&m, at, bit)?;
        let encoded = auth().encode(there(), &m).expect("it fits");
        prop_assert_eq!(auth().decode::<ReplyDatagram>(there(), &encoded).err(), Some(MessageError::Forged));
        prop_assert_eq!(auth().decode::<PeerMessage>(there(), &encoded).err(), Some(MessageError::Forged));
    }

    #[test]
    fn answers_decode_to_themselves(m in from_gateway(), at: prop::sample::Index, bit in 0u8..8) {
        check(&m, at, bit)?;
    }

    #[test]
    fn peer_messages_decode_to_themselves(m in peer_message(), at: prop::sample::Index, bit in 0u8..8) {
        check(&m, at, bit)?;
    }

    #[test]
    fn arbitrary_octets_are_refused(octets in prop::collection::vec(any::<u8>(), 0..1000)) {
        prop_assert!(auth().decode::<RequestDatagram>(there(), &octets).is_err());
        prop_assert!(auth().decode::<ReplyDatagram>(there(), &octets).is_err());
        prop_assert!(auth().decode::<PeerMessage>(there(), &octets).is_err());
        let _ = parse_packet(&octets);
    }

    /// In both families, with the checksums that a receiving kernel verifies.
    #[test]
    fn a_packet_contains_its_addresses_and_payload(
        from in address(),
        to in address(),
        payload in prop::collection::vec(any::<u8>(), 0..LONGEST),
    ) {
        let packet = match build_packet(from, to, &payload) {
            Ok(packet) => packet,
            Err(error) => {
                prop_assert_eq!(error, PacketError::Families { from, to });
                prop_assert_ne!(from.is_ipv4(), to.is_ipv4());
                return Ok(());
            }
        };
        prop_assert_eq!(parse_packet(&packet), Some(Packet { from, to, payload: &payload }));
        prop_assert!(packet.len() <= LONGEST_PACKET + 20);
        let (addresses, header) = match from {
            IpAddr::V4(_) => {
                prop_assert_eq!(ones(&packet[..20]), 0xffff);
                (12..20, 20)
            }
            IpAddr::V6(_) => (8..40, 40),
        };
        let mut summed = packet[addresses].to_vec();
        summed.extend([0, 17]);
        summed.extend(((packet.len() - header) as u16).to_be_bytes());
        summed.extend(&packet[header..]);
        prop_assert_eq!(ones(&summed), 0xffff);
        prop_assert_ne!(&packet[header + 6..header + 8], &[0, 0]);
        prop_assert_eq!(&packet[header..header + 2], &PORT.to_be_bytes());
        for cut in [1, payload.len() + 1] {
            prop_assert_eq!(parse_packet(&packet[..packet.len() - cut]), None);
        }
    }
}

/// The ones' complement sum of RFC 1071, implemented independently of the code under test.
fn ones(octets: &[u8]) -> u16 {
    let words = octets
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)));
    words.fold(0u16, |sum, word| {
        let (sum, carry) = sum.overflowing_add(word as u16);
        sum + u16::from(carry)
    })
}

#[test]
fn the_longest_request_fits() {
    let message = RequestDatagram {
        incarnation: (1 << 58) - 1,
        sequence: u32::MAX.into(),
        recipient: u32::MAX.into(),
        request: ToGateway {
            id: u64::MAX,
            peering: "n".repeat(63),
            request: Request::Hold {
                buckets: (0..causeway_steering::BUCKETS).collect::<BucketSet>(),
                limit_ms: u32::MAX,
                hold_timeout_action: HoldTimeoutAction::Send,
            },
        },
    };
    let encoded = auth().encode(there(), &message).expect("it fits");
    assert!(encoded.len() <= LONGEST, "{} octets", encoded.len());
    // No octet more than necessary.
    assert!(encoded.len() + 10 > LONGEST, "{} octets", encoded.len());
}

/// A message says nothing about its ends and its VPC, and is valid only for them.
#[test]
fn a_message_is_refused_by_any_other_recipient() {
    let request = RequestDatagram {
        incarnation: 1,
        sequence: 2,
        recipient: 3,
        request: ToGateway {
            id: 4,
            peering: "vpc-2".into(),
            request: Request::Fence,
        },
    };
    let encoded = auth().encode(there(), &request).expect("it fits");
    let refused = |auth: MessageAuth, ends| {
        let error = auth.decode::<RequestDatagram>(ends, &encoded).unwrap_err();
        assert_eq!(error, MessageError::Forged, "{ends:?}");
    };
    refused(auth(), ends("10.1.0.100", "10.1.0.102"));
    refused(auth(), ends("10.1.0.99", "10.1.0.101"));
    refused(auth(), ends("10.1.0.101", "10.1.0.100"));
    refused(auth(), ends("::ffff:10.1.0.100", "::10.1.0.101"));
    refused(of_vpc("10.2.0.0/24"), there());

    // Between demuxes of two VPCs, only the addresses count.
    let message = PeerMessage::Fence {
        id: 1,
        pair: Ordinal(2),
    };
    let peers = ends("10.1.0.100", "10.2.0.100");
    let encoded = auth().encode(peers, &message).expect("it fits");
    let other = of_vpc("10.2.0.0/24");
    assert_eq!(other.decode(peers, &encoded).as_ref(), Ok(&message));
    let back = ends("10.2.0.100", "10.1.0.100");
    let reflected = auth().decode::<PeerMessage>(back, &encoded);
    assert_eq!(reflected, Err(MessageError::Forged));
}

/// The order in which files list the prefixes does not matter.
#[test]
fn the_order_of_prefixes_does_not_matter() {
    let nets = ["10.1.0.0/24", "fd00:1::/64"].map(|net| net.parse().unwrap());
    let message = PeerMessage::Lift {
        id: 1,
        pair: Ordinal(2),
    };
    let key = b"0123456789abcdef";
    let encoded = MessageAuth::new(key, &nets).encode(there(), &message);
    let turned = MessageAuth::new(key, &[nets[1], nets[0]]);
    assert_eq!(
        turned.decode(there(), &encoded.unwrap()).as_ref(),
        Ok(&message)
    );
}

#[test]
fn each_refusal_has_its_error() {
    let encoded = auth()
        .encode(
            there(),
            &PeerMessage::Fence {
                id: 1,
                pair: Ordinal(2),
            },
        )
        .expect("it fits");
    let error = |octets: &[u8]| {
        auth()
            .decode::<PeerMessage>(there(), octets)
            .expect_err("no message")
    };
    assert_eq!(error(&encoded[..TAG]), MessageError::Length { got: TAG });
    assert_eq!(
        error(&[2; LONGEST + 1]),
        MessageError::Length { got: LONGEST + 1 }
    );
    assert_eq!(error(&[9; 64]), MessageError::Version { got: 9 });
    assert_eq!(error(&[2; 64]), MessageError::Forged);
    // A reply that is too long is not encoded.
    let why = "x".repeat(LONGEST);
    let long = ReplyDatagram {
        boot: 2,
        newest: 1,
        recipient: 1,
        answers: 1,
        outcome: Outcome::Reply(FromGateway {
            id: 1,
            boot: 2,
            reply: Reply::Refused { why },
        }),
    };
    assert_eq!(auth().encode(there(), &long), None);
}
