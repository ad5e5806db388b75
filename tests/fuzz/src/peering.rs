//! Two gateways and the network between them: any plaintext of a host, and what is done to it on
//! its way. Fragmenting, the MSS clamp and ICMP errors are on that way.

use causeway_gateway::Totals;

use crate::input::Input;
use crate::packet::{DONT_FRAGMENT, MORE, Packet, ones_sum, reassemble, word};
use crate::side::{MAX_INNER, Setup, Side, both, carried, gateway_mac};

/// Where ESP starts in a sealed frame: Ethernet, IPv4, UDP.
const ESP: usize = 14 + 20 + 8;
/// What is encrypted starts behind SPI, sequence number and IV, which an outsider can guess.
const CIPHERTEXT: usize = ESP + 16;

/// Octets: clamp; then for each packet its header, its payload, and its fate.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let clamp_mss = input.octet() & 1 != 0;
    let (mut a, mut b) = both(&Setup {
        clamp_mss,
        frames: 32,
        ring: 16,
        ..Setup::default()
    });
    for _ in 0..6 {
        if input.is_empty() {
            break;
        }
        let packet = packet(&mut input);
        let sent = a.exchange(&[packet.frame(gateway_mac(1))]);
        if sent.first().is_some_and(|frame| frame[23] == 1) {
            check_error(&packet, &sent);
            continue;
        }
        let (fate, place) = (input.octet(), usize::from(input.word()));
        let arrived = travel(&mut b, &sent, &packet, fate, place);
        if !sent.is_empty() {
            check_arrival(&packet, arrived, clamp_mss);
        }
    }
    let (a, b) = (a.finish(), b.finish());
    check_ends(&a, &b);
}

fn packet(input: &mut Input) -> Packet {
    let flags = input.octet();
    let offset = input.octet();
    let mut packet = Packet::udp([10, 1, 0, 2], [10, 2, 0, 3], &[]);
    packet.ttl = input.octet();
    packet.protocol = input.octet();
    packet.identification = input.word();
    packet.flags = u16::from(offset) & if flags & 1 != 0 { 0xff } else { 0 };
    packet.flags |= if flags & 2 != 0 { DONT_FRAGMENT } else { 0 };
    packet.flags |= if flags & 4 != 0 { MORE } else { 0 };
    let words = if flags & 8 != 0 {
        usize::from(flags >> 5)
    } else {
        0
    };
    packet.options = input.octets(4 * words).to_vec();
    packet.options.resize(4 * words, 0);
    let length = usize::from(input.word()) % 1960;
    packet.payload = input.octets(length.min(96)).to_vec();
    if flags & 16 != 0 {
        packet.payload.resize(length, 0xee);
    }
    packet
}

/// Brings sealed frames to gateway 2, after a changed copy of one of them. Returns the packets that
/// it sent on.
fn travel(b: &mut Side, sent: &[Vec<u8>], packet: &Packet, fate: u8, place: usize) -> Vec<Vec<u8>> {
    let mut arrived = Vec::new();
    for frame in sent {
        let frame = carried(frame.clone(), 1);
        if let Some(secret) = packet.payload.first_chunk::<16>() {
            let seen = frame[CIPHERTEXT..]
                .windows(16)
                .any(|window| window == secret);
            assert!(!seen, "plaintext on the way");
        }
        let mut changed = frame.clone();
        match fate % 4 {
            1 => changed[ESP + place % (frame.len() - ESP)] ^= 1 << (fate >> 5),
            2 => changed.truncate(ESP + place % (frame.len() - ESP)),
            3 => changed
                .drain(ESP..ESP + place % (frame.len() - ESP))
                .for_each(drop),
            _ => {}
        }
        if changed != frame {
            assert_eq!(b.exchange(&[changed]).len(), 0, "let a changed packet pass");
        }
        let opened = b.exchange(std::slice::from_ref(&frame));
        assert_eq!(opened.len(), 1, "{:?}", b.totals());
        assert_eq!(b.exchange(&[frame]).len(), 0, "let a packet pass twice");
        arrived.extend(opened.into_iter().map(|frame| frame[14..].to_vec()));
    }
    arrived
}

/// The packet as its host sent it, one hop later, whole or in pieces.
fn check_arrival(packet: &Packet, mut arrived: Vec<Vec<u8>>, clamp_mss: bool) {
    let mut expected = packet.forwarded();
    if arrived.len() > 1 {
        assert_eq!(packet.flags & DONT_FRAGMENT, 0);
        for piece in &mut arrived {
            assert!(piece.len() <= MAX_INNER);
            // Pieces of a fragment join to that fragment.
            let field = word(piece, 6) - (packet.flags & 0x1fff);
            let more = if packet.flags & MORE != 0 && is_last(piece, packet) {
                MORE
            } else {
                0
            };
            refield(piece, field - more);
        }
        assert_eq!(reassemble(&arrived), packet.payload);
        return;
    }
    let arrived = &arrived[0];
    if clamp_mss && packet.protocol == 6 {
        // The clamp touches an option's two octets and the checksum.
        let differing = |index: &usize| arrived[*index] != expected[*index];
        assert_eq!(arrived.len(), expected.len());
        let changed: Vec<usize> = (0..expected.len()).filter(differing).collect();
        let start = 20 + packet.options.len();
        let option = changed
            .iter()
            .filter(|&&at| at != start + 16 && at != start + 17);
        assert!(option.clone().count() <= 2 && option.clone().all(|&at| at >= start + 20));
        for &at in &changed {
            expected[at] = arrived[at];
        }
    }
    assert_eq!(arrived, &expected);
}

fn is_last(piece: &[u8], packet: &Packet) -> bool {
    let start = usize::from((word(piece, 6) & 0x1fff) - (packet.flags & 0x1fff)) * 8;
    start + piece.len() - 20 == packet.payload.len()
}

/// Writes flags and fragment offset, and the header checksum anew.
fn refield(piece: &mut [u8], field: u16) {
    assert_eq!(ones_sum(&piece[..20]), 0xffff);
    piece[6..8].copy_from_slice(&field.to_be_bytes());
    piece[10..12].fill(0);
    let sum = !ones_sum(&piece[..20]);
    piece[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// RFC 1191 and RFC 792: to the sender, about its packet, quoting it.
fn check_error(packet: &Packet, sent: &[Vec<u8>]) {
    assert_eq!(sent.len(), 1);
    let (error, cause) = (&sent[0][14..], packet.ip());
    assert_eq!(error[12..20], [10, 1, 0, 101, 10, 1, 0, 2]);
    assert_eq!(
        (ones_sum(&error[..20]), ones_sum(&error[20..])),
        (0xffff, 0xffff)
    );
    assert!(error.len() <= 576 && cause.starts_with(&error[28..]));
    match (error[20], error[21]) {
        (11, 0) => assert!(packet.ttl <= 1),
        (3, 4) => {
            assert!(packet.flags & DONT_FRAGMENT != 0 && cause.len() > MAX_INNER);
            assert_eq!(usize::from(word(error, 26)), MAX_INNER);
        }
        other => panic!("ICMP {other:?}"),
    }
}

fn check_ends(a: &Totals, b: &Totals) {
    assert_eq!(a.opened.packets, 0);
    assert_eq!(b.sealed.packets, 0);
    assert!(b.opened.packets >= a.sealed.packets);
    assert_eq!(b.opened.packets, b.sent);
}
