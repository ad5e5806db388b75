//! Two gateways and the network between them: arbitrary packets of a host, and manipulation of the sealed packets. The
//! target covers fragmentation, the MSS clamp, ICMP errors and rekeys.

use causeway_gateway::{Command, Reply, Totals};

use crate::input::Input;
use crate::packet::{DONT_FRAGMENT, MORE, Packet, ones_sum, ones_sum_ipv6, reassemble, word};
use crate::side::{
    Setup, Side, both, carried, gateway_mac, header, host, inbound_of, max_inner, outbound_of, spi,
};

/// The bytes of SPI, sequence number and IV, which are sent in the clear.
const CLEAR: usize = 16;

/// Input: a byte for the clamp and both families. Then for each packet its header, its payload and its manipulation.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let options = input.octet();
    let (outer_v6, inner_v6) = (options & 2 != 0, options & 4 != 0);
    let setup = Setup {
        outer_v6,
        clamp_mss: options & 1 != 0,
        frames: 32,
        ring: 16,
        ..Setup::default()
    };
    let (mut a, mut b) = both(&setup);
    let mut rekeys = Rekeys::default();
    for _ in 0..6 {
        if input.is_empty() {
            break;
        }
        let packet = packet(&mut input, inner_v6);
        let sent = a.exchange(&[packet.frame(gateway_mac(1))]);
        if sent.first().is_some_and(|frame| is_icmp(frame)) {
            check_error(&packet, &sent, max_inner(outer_v6));
            continue;
        }
        let (fate, place) = (input.octet(), usize::from(input.word()));
        // The packet is in flight during a rekey. Its SA exists until it is retired.
        let steps = fate >> 2 & 7;
        rekeys.begin(steps, &mut a, &mut b, &setup);
        let arrived = travel(&mut b, &sent, &packet, fate, place);
        rekeys.end(steps, &mut b);
        if !sent.is_empty() {
            check_arrival(&packet, arrived, &setup);
        }
    }
    let (a, b) = (a.finish(), b.finish());
    check_ends(&a, &b, rekeys.late.len() as u64);
}

/// The SAs from gateway 1 to gateway 2, by key epoch.
#[derive(Default)]
struct Rekeys {
    oldest: u8,
    used: u8,
    newest: u8,
    /// The last packet of each SA that is no longer in use. It is delivered after the SA is retired.
    late: Vec<Vec<u8>>,
}

impl Rekeys {
    fn begin(&mut self, steps: u8, a: &mut Side, b: &mut Side, setup: &Setup) {
        if steps & 1 != 0 {
            self.newest += 1;
            let sa = inbound_of(1, self.newest).into();
            request(b, |reply| Command::Install {
                tunnel: 0,
                sa,
                reply,
            });
        }
        if steps & 2 != 0 && self.used < self.newest {
            let last = Packet::udp([10, 1, 0, 2], [10, 2, 0, 3], b"late");
            self.late.extend(a.exchange(&[last.frame(gateway_mac(1))]));
            self.used += 1;
            let sa = outbound_of(1, 2, self.used, setup).into();
            request(a, |reply| Command::Switch {
                tunnel: 0,
                sa,
                reply,
            });
        }
    }

    /// Retires the oldest SA, and checks that its last packet does not open any more.
    fn end(&mut self, steps: u8, b: &mut Side) {
        if steps & 4 != 0 && self.oldest < self.used {
            let spi = spi(1, self.oldest);
            request(b, |reply| Command::Retire { spi, reply });
            let late = carried(self.late[usize::from(self.oldest)].clone(), 1);
            assert_eq!(b.exchange(&[late]).len(), 0, "opened on a retired SA");
            self.oldest += 1;
        }
    }
}

fn request(side: &mut Side, command: impl FnOnce(Reply) -> Command) {
    let (reply, answer) = Reply::channel();
    side.control.send(command(reply)).expect("a worker");
    assert_eq!(side.work().len(), 0);
    assert_eq!(answer.try_recv(), Ok(Ok(())));
}

/// Whether the gateway sent an ICMP error instead of ESP.
fn is_icmp(frame: &[u8]) -> bool {
    match header(frame) {
        40 => frame[14 + 6] == 58,
        _ => frame[14 + 9] == 1,
    }
}

fn packet(input: &mut Input, ipv6: bool) -> Packet {
    let flags = input.octet();
    let offset = input.octet();
    let mut packet = Packet::udp(host(ipv6, 1, 2), host(ipv6, 2, 3), &[]);
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
    let length = if ipv6 {
        (8 * words).saturating_sub(2)
    } else {
        4 * words
    };
    packet.options = input.octets(length).to_vec();
    packet.options.resize(length, 0);
    // With all headers the packet fits into a frame of 2048 bytes.
    let length = usize::from(input.word()) % if ipv6 { 1930 } else { 1960 };
    packet.payload = input.octets(length.min(96)).to_vec();
    if flags & 16 != 0 {
        packet.payload.resize(length, 0xee);
    }
    packet
}

/// Delivers sealed frames to gateway 2, each after a manipulated copy. Returns the packets that gateway 2 sent.
fn travel(b: &mut Side, sent: &[Vec<u8>], packet: &Packet, fate: u8, place: usize) -> Vec<Vec<u8>> {
    let mut arrived = Vec::new();
    for frame in sent {
        let frame = carried(frame.clone(), 1);
        let esp = 14 + header(&frame) + 8;
        if let Some(secret) = packet.payload.first_chunk::<16>() {
            let seen = frame[esp + CLEAR..]
                .windows(16)
                .any(|window| window == secret);
            assert!(!seen, "plaintext in a sealed packet");
        }
        let mut changed = frame.clone();
        match fate % 4 {
            1 => changed[esp + place % (frame.len() - esp)] ^= 1 << (fate >> 5),
            2 => changed.truncate(esp + place % (frame.len() - esp)),
            3 => changed
                .drain(esp..esp + place % (frame.len() - esp))
                .for_each(drop),
            _ => {}
        }
        if changed != frame {
            assert_eq!(
                b.exchange(&[changed]).len(),
                0,
                "accepted a manipulated packet"
            );
        }
        let opened = b.exchange(std::slice::from_ref(&frame));
        assert_eq!(opened.len(), 1, "{:?}", b.totals());
        assert_eq!(b.exchange(&[frame]).len(), 0, "accepted a packet twice");
        arrived.extend(opened.into_iter().map(|frame| frame[14..].to_vec()));
    }
    arrived
}

/// Checks that the packet arrived as its host sent it, with a decremented TTL, whole or in fragments.
fn check_arrival(packet: &Packet, mut arrived: Vec<Vec<u8>>, setup: &Setup) {
    let mut expected = packet.forwarded();
    let clamped = setup.clamp_mss && packet.protocol == 6;
    if arrived.len() > 1 {
        assert!(packet.flags & DONT_FRAGMENT == 0 && packet.source.is_ipv4());
        for piece in &mut arrived {
            assert!(piece.len() <= max_inner(setup.outer_v6));
            // The fragments of a fragment can be reassembled to that fragment.
            let field = word(piece, 6) - (packet.flags & 0x1fff);
            let more = if packet.flags & MORE != 0 && is_last(piece, packet) {
                MORE
            } else {
                0
            };
            set_fragment_field(piece, field - more);
        }
        let (joined, mut payload) = (reassemble(&arrived), packet.payload.clone());
        if clamped {
            allow_clamp(&joined, &mut payload, 0);
        }
        assert_eq!(joined, payload);
        return;
    }
    let arrived = &arrived[0];
    if clamped {
        let tcp = expected.len() - packet.payload.len();
        allow_clamp(arrived, &mut expected, tcp);
    }
    assert_eq!(arrived, &expected);
}

/// Accepts the changes of the MSS clamp: two bytes of an option, and the checksum of the segment that starts at `tcp`.
fn allow_clamp(arrived: &[u8], expected: &mut [u8], tcp: usize) {
    assert_eq!(arrived.len(), expected.len());
    let differing = |index: &usize| arrived[*index] != expected[*index];
    let changed: Vec<usize> = (0..expected.len()).filter(differing).collect();
    let option = changed
        .iter()
        .filter(|&&at| at != tcp + 16 && at != tcp + 17);
    assert!(option.clone().count() <= 2 && option.clone().all(|&at| at >= tcp + 20));
    for &at in &changed {
        expected[at] = arrived[at];
    }
}

fn is_last(piece: &[u8], packet: &Packet) -> bool {
    let start = usize::from((word(piece, 6) & 0x1fff) - (packet.flags & 0x1fff)) * 8;
    start + piece.len() - 20 == packet.payload.len()
}

/// Replaces flags and fragment offset, and updates the header checksum.
fn set_fragment_field(piece: &mut [u8], field: u16) {
    assert_eq!(ones_sum(&piece[..20]), 0xffff);
    piece[6..8].copy_from_slice(&field.to_be_bytes());
    piece[10..12].fill(0);
    let sum = !ones_sum(&piece[..20]);
    piece[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Checks an ICMP error by RFC 792 and RFC 1191, or by RFC 4443 for IPv6: it goes to the sender and quotes the packet.
fn check_error(packet: &Packet, sent: &[Vec<u8>], max_inner: usize) {
    assert_eq!(sent.len(), 1);
    let (error, cause) = (&sent[0][14..], packet.ip());
    if packet.source.is_ipv4() {
        assert_eq!(error[12..20], [10, 1, 0, 101, 10, 1, 0, 2]);
        assert_eq!(ones_sum(&error[..20]), 0xffff);
        assert_eq!(ones_sum(&error[20..]), 0xffff);
        assert!(error.len() <= 576 && cause.starts_with(&error[28..]));
        match (error[20], error[21]) {
            (11, 0) => assert!(packet.ttl <= 1),
            (3, 4) => {
                assert!(packet.flags & DONT_FRAGMENT != 0 && cause.len() > max_inner);
                assert_eq!(usize::from(word(error, 26)), max_inner);
            }
            other => panic!("ICMP {other:?}"),
        }
        return;
    }
    let ends = [host(true, 1, 101), host(true, 1, 2)].map(|end| match end {
        std::net::IpAddr::V6(end) => end.octets(),
        std::net::IpAddr::V4(_) => unreachable!("the addresses are IPv6"),
    });
    assert_eq!(error[8..40], ends.concat());
    assert_eq!(ones_sum_ipv6(error), 0xffff);
    assert!(error.len() <= 1280 && cause.starts_with(&error[48..]));
    match (error[40], error[41]) {
        (3, 0) => assert!(packet.ttl <= 1),
        (2, 0) => {
            assert!(cause.len() > max_inner);
            assert_eq!(usize::from(word(error, 46)), max_inner);
        }
        other => panic!("ICMPv6 {other:?}"),
    }
}

fn check_ends(a: &Totals, b: &Totals, late: u64) {
    assert_eq!(a.opened.packets, 0);
    assert_eq!(b.sealed.packets, 0);
    assert!(b.opened.packets + late >= a.sealed.packets);
    assert_eq!(b.opened.packets, b.sent);
}
