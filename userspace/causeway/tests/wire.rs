//! Messages as octets: what is sealed is opened, and nothing else is.

use std::net::IpAddr;

use causeway::wire::{
    LONGEST, LONGEST_PACKET, Message, OpenError, PORT, Packet, PacketError, Seals, TAG, parse,
    to_peer,
};
use causeway_rescale::message::{
    AtLimit, FromGateway, Marker, PeerWord, Reply, Request, TableId, ToGateway,
};
use causeway_rescale::{BucketSet, Ordinal};
use proptest::prelude::*;

fn seals() -> Seals {
    Seals::new(b"0123456789abcdef")
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

fn word() -> impl Strategy<Value = PeerWord> {
    let pair = || any::<(u64, u16)>().prop_map(|(id, pair)| (id, Ordinal(pair)));
    prop_oneof![
        marker().prop_map(PeerWord::Marker),
        (marker(), marker()).prop_map(|(marker, other)| PeerWord::Echo {
            marker,
            table: other.table,
        }),
        pair().prop_map(|(id, pair)| PeerWord::Fence { id, pair }),
        (pair(), any::<bool>()).prop_map(|((id, pair), silent)| PeerWord::Fenced {
            id,
            pair,
            silent
        }),
        pair().prop_map(|(id, pair)| PeerWord::Lift { id, pair }),
        pair().prop_map(|(id, pair)| PeerWord::Lifted { id, pair }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let ends = || (address(), address());
    let buckets = prop::collection::vec(0..causeway_steering::BUCKETS, 0..64);
    let at_limit = prop_oneof![Just(AtLimit::Drop), Just(AtLimit::Send)];
    prop_oneof![
        (ends(), marker()).prop_map(|((from, to), marker)| Request::Mark { from, to, marker }),
        (ends(), word()).prop_map(|((from, to), word)| Request::Carry { from, to, word }),
        (buckets, any::<u32>(), at_limit).prop_map(|(buckets, limit_ms, at_limit)| Request::Hold {
            buckets: buckets.into_iter().collect(),
            limit_ms,
            at_limit,
        }),
        any::<u64>().prop_map(|hold| Request::Release { hold }),
        Just(Request::Fence),
        Just(Request::Lift),
        Just(Request::Reset),
    ]
}

fn to_gateway() -> impl Strategy<Value = ToGateway> {
    (any::<u64>(), "[a-z0-9._-]{1,63}", request()).prop_map(|(id, peering, request)| ToGateway {
        id,
        peering,
        request,
    })
}

fn from_gateway() -> impl Strategy<Value = FromGateway> {
    let reply = prop_oneof![
        Just(Reply::Sealed),
        Just(Reply::Held),
        any::<(u64, u64)>().prop_map(|(packets, dropped)| Reply::Released { packets, dropped }),
        Just(Reply::Fenced),
        Just(Reply::Lifted),
        Just(Reply::ResetDone),
        ".{0,64}".prop_map(|why| Reply::Refused { why }),
    ];
    (any::<(u64, u64)>(), reply).prop_map(|((id, boot), reply)| FromGateway { id, boot, reply })
}

/// What is sealed is opened again, and in no other way.
fn holds<M: Message + PartialEq + std::fmt::Debug>(
    message: &M,
    place: prop::sample::Index,
    bit: u8,
) -> Result<(), TestCaseError> {
    let sealed = seals().seal(message).expect("it fits");
    prop_assert!(sealed.len() <= LONGEST);
    prop_assert_eq!(&seals().open::<M>(&sealed).expect("ours"), message);

    let mut changed = sealed.clone();
    changed[place.index(sealed.len())] ^= 1 << bit;
    prop_assert!(seals().open::<M>(&changed).is_err());
    let cut = &sealed[..place.index(sealed.len())];
    prop_assert!(seals().open::<M>(cut).is_err());
    let mut longer = sealed.clone();
    longer.insert(place.index(sealed.len()), bit);
    prop_assert!(seals().open::<M>(&longer).is_err());

    let other = Seals::new(b"0123456789abcdeg");
    prop_assert_eq!(other.open::<M>(&sealed).err(), Some(OpenError::Forged));
    Ok(())
}

proptest! {
    #[test]
    fn requests_pass_as_they_are(m in to_gateway(), at: prop::sample::Index, bit in 0u8..8) {
        holds(&m, at, bit)?;
        let sealed = seals().seal(&m).expect("it fits");
        prop_assert_eq!(seals().open::<FromGateway>(&sealed).err(), Some(OpenError::Forged));
        prop_assert_eq!(seals().open::<PeerWord>(&sealed).err(), Some(OpenError::Forged));
    }

    #[test]
    fn answers_pass_as_they_are(m in from_gateway(), at: prop::sample::Index, bit in 0u8..8) {
        holds(&m, at, bit)?;
    }

    #[test]
    fn words_pass_as_they_are(m in word(), at: prop::sample::Index, bit in 0u8..8) {
        holds(&m, at, bit)?;
    }

    #[test]
    fn noise_is_refused(octets in prop::collection::vec(any::<u8>(), 0..1000)) {
        prop_assert!(seals().open::<ToGateway>(&octets).is_err());
        prop_assert!(seals().open::<FromGateway>(&octets).is_err());
        prop_assert!(seals().open::<PeerWord>(&octets).is_err());
        let _ = parse(&octets);
    }

    /// Both families, with the checksums that a receiving kernel looks at.
    #[test]
    fn a_packet_has_what_was_put_in(
        from in address(),
        to in address(),
        payload in prop::collection::vec(any::<u8>(), 0..LONGEST),
    ) {
        let packet = match to_peer(from, to, &payload) {
            Ok(packet) => packet,
            Err(error) => {
                prop_assert_eq!(error, PacketError::Families { from, to });
                prop_assert_ne!(from.is_ipv4(), to.is_ipv4());
                return Ok(());
            }
        };
        prop_assert_eq!(parse(&packet), Some(Packet { from, to, payload: &payload }));
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
            prop_assert_eq!(parse(&packet[..packet.len() - cut]), None);
        }
    }
}

/// The one's complement sum of RFC 1071, written another way than the one under test.
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
fn the_longest_request_fits_the_smallest_mtu() {
    let message = ToGateway {
        id: u64::MAX,
        peering: "n".repeat(63),
        request: Request::Hold {
            buckets: (0..causeway_steering::BUCKETS).collect::<BucketSet>(),
            limit_ms: u32::MAX,
            at_limit: AtLimit::Send,
        },
    };
    let sealed = seals().seal(&message).expect("it fits");
    assert!(sealed.len() <= LONGEST, "{} octets", sealed.len());
    // With the whole tag of 32 octets it would not.
    assert!(sealed.len() - TAG + 32 > LONGEST);
}

#[test]
fn each_refusal_has_its_name() {
    let sealed = seals()
        .seal(&PeerWord::Fence {
            id: 1,
            pair: Ordinal(2),
        })
        .expect("it fits");
    let open = |octets: &[u8]| seals().open::<PeerWord>(octets).expect_err("not ours");
    assert_eq!(open(&sealed[..TAG]), OpenError::Length { got: TAG });
    assert_eq!(
        open(&[1; LONGEST + 1]),
        OpenError::Length { got: LONGEST + 1 }
    );
    assert_eq!(open(&[9; 64]), OpenError::Version { got: 9 });
    assert_eq!(open(&[1; 64]), OpenError::Forged);
    // A reply that is too long is no datagram.
    let why = "x".repeat(LONGEST);
    let long = FromGateway {
        id: 1,
        boot: 2,
        reply: Reply::Refused { why },
    };
    assert_eq!(seals().seal(&long), None);
}
