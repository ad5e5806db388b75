//! Steering of arbitrary frames: headers, flow key, ESP detection and verdict.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use causeway_demux::steering::{Peering, Place, Steering};
use causeway_steering::headers::{ETHERNET, Ethernet, is_tag, protocol};
use causeway_steering::{
    BUCKETS, FlowKey, Headers, Inbound, PuntReason, SteerHash, Verdict, decide,
};

const MAC: [u8; 6] = [2, 0, 0, 0, 1, 101];

pub(crate) fn tables() -> Steering {
    Steering {
        mac: MAC,
        own: [
            IpAddr::from([10, 1, 0, 101]),
            IpAddr::from([0xfd00, 1, 0, 0, 0, 0, 0, 0x65]),
        ]
        .into(),
        hash: SteerHash::new(*b"a key for fuzzes"),
        peerings: vec![Peering::over(
            ["10.2.0.0/16", "fd00:2::/32"]
                .map(|prefix| prefix.parse().expect("a prefix"))
                .to_vec(),
            &[0, 1, 2],
        )],
        gateways: vec![
            Place::Local {
                first_worker: 3,
                workers: 2,
            },
            Place::Remote {
                address: Ipv4Addr::new(10, 1, 1, 2).into(),
                mac: Some([2, 0, 0, 0, 1, 102]),
            },
            Place::Remote {
                address: Ipv4Addr::new(10, 1, 1, 3).into(),
                mac: None,
            },
        ],
        workers: [(0x2000, 3)].into(),
        skew: Duration::ZERO,
        now: 0,
    }
}

/// Input: a byte, then the frame. The byte selects whether the frame gets the NIC's MAC address and a valid EtherType,
/// its family, and a number of VLAN tags to insert.
pub(crate) fn run(input: &[u8]) {
    thread_local!(static TABLES: Steering = tables());
    let Some((&options, frame)) = input.split_first() else {
        return;
    };
    let mut frame = frame.to_vec();
    if options & 1 != 0 && frame.len() >= ETHERNET {
        frame[..6].copy_from_slice(&MAC);
        let ethertype = if options & 2 == 0 {
            [8, 0]
        } else {
            [0x86, 0xdd]
        };
        frame[12..14].copy_from_slice(&ethertype);
    }
    TABLES.with(|tables| {
        check(&frame, tables);
        let tags = usize::from(options >> 2 & 3);
        if frame.len() >= ETHERNET && tags > 0 {
            behind_tags(&frame, tags, tables);
        }
    });
}

/// Up to two tags do not change the verdict. A frame with more tags is punted.
fn behind_tags(frame: &[u8], tags: usize, tables: &Steering) {
    let [kind, other] = [[0x81, 0, 0x60, 1], [0x88, 0xa8, 0, 2]];
    let tags = [kind, other, kind][..tags].concat();
    let tagged = [&frame[..12], &tags[..], &frame[12..]].concat();
    check(&tagged, tables);
    let ethernet = Ethernet::parse(frame).filter(|_| !is_tag_at(frame, 12));
    if ethernet.is_some() && frame.starts_with(&MAC) {
        let untagged = decide(frame, tables);
        match decide(&tagged[..], tables) {
            verdict if tags.len() <= 8 => assert_eq!(verdict, untagged),
            verdict => assert_eq!(verdict, Verdict::Punt(PuntReason::VlanStack)),
        }
    }
}

fn is_tag_at(frame: &[u8], at: usize) -> bool {
    is_tag(u16::from_be_bytes([frame[at], frame[at + 1]]))
}

fn check(frame: &[u8], tables: &Steering) {
    let verdict = decide(frame, tables);
    if !frame.starts_with(&MAC) {
        assert!(
            matches!(verdict, Verdict::Punt(_) | Verdict::Drop(_)),
            "steered a frame for another MAC address: {verdict:?}"
        );
    }
    let l3 = Ethernet::parse(frame).map(|ethernet| ethernet.l3);
    let Some(Ok(headers)) = l3.map(|l3| Headers::parse(frame, l3)) else {
        return;
    };
    assert!(headers.l4 <= headers.l3 + headers.total && headers.l3 + headers.total <= frame.len());
    if let Inbound::Esp { at, spi, .. } = Inbound::of(frame, &headers) {
        assert_eq!(frame[at..at + 4], spi.to_be_bytes());
        assert!(!headers.fragment && frame.len() >= at + 8);
    }
    let key = FlowKey::of(frame, &headers);
    assert!(key.low <= key.high && tables.hash.bucket(&key) < BUCKETS);
    let icmp = match headers.is_ipv4() {
        true => protocol::ICMP,
        false => protocol::ICMPV6,
    };
    if headers.protocol != icmp {
        let answer = reply(frame, &headers);
        assert_eq!(
            key,
            FlowKey::of(&answer[..], &headers_of(&answer, headers.l3))
        );
    }
    // Bytes behind the packet, such as Ethernet padding, do not change the verdict.
    if frame.starts_with(&MAC) && frame.len() == headers.l3 + headers.total {
        let longer = [frame, &[0xee; 8]].concat();
        if !matches!(verdict, Verdict::Drop(_)) {
            assert_eq!(decide(&longer[..], tables), verdict);
        }
    }
}

/// The reply to a packet: addresses and ports are exchanged.
fn reply(frame: &[u8], headers: &Headers) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let (addresses, length) = if headers.is_ipv4() { (12, 4) } else { (8, 16) };
    let addresses = headers.l3 + addresses;
    frame[addresses..addresses + 2 * length].rotate_left(length);
    // Exchanging the bytes of an unparsed extension header would make another header of it, which steering might parse.
    let extension = matches!(headers.protocol, 0 | 43 | 44 | 60);
    if let Some(ports) = frame.get_mut(headers.l4..headers.l4 + 4)
        && !extension
    {
        ports.rotate_left(2);
    }
    frame
}

fn headers_of(frame: &[u8], l3: usize) -> Headers {
    match Headers::parse(frame, l3) {
        Ok(headers) => headers,
        Err(error) => panic!("the reply does not parse: {error:?}"),
    }
}
