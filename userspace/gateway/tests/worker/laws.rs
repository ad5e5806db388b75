//! The laws: every packet ends in one named place, every frame comes home, flows keep their order,
//! payload arrives as it was. Two gateways against a model that says what must become of each
//! packet.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_gateway::{Command, Totals};
use causeway_steering::Drop;
use proptest::prelude::*;

use crate::packet::{DONT_FRAGMENT, MORE, Packet, ethernet, identification, reassemble, word};
use crate::side::{
    Setup, Side, address, both, carried, gateway_mac, header, host, host_mac, max_inner, routes,
};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A host of VPC 1 sends.
    Send(Sent),
    /// Time passes, in milliseconds.
    Pass(u64),
    /// VPC 2 learns these hosts' MAC addresses, beside those it always knows.
    Learn(Vec<u8>),
}

#[derive(Clone, Debug)]
struct Sent {
    v6: bool,
    /// Network and host of both ends. There is a network 7 that is nobody's, and a network 3
    /// without a tunnel.
    source: (u8, u8),
    destination: (u8, u8),
    ttl: u8,
    length: usize,
    dont_fragment: bool,
    options: bool,
    abuse: Abuse,
}

/// What the network between the gateways does to a sealed packet.
#[derive(Clone, Debug)]
enum Abuse {
    None,
    /// A copy with one bit of ciphertext or ICV turned arrives first.
    Forge(prop::sample::Index),
    /// It arrives twice.
    Replay,
    /// A copy with another SPI arrives first.
    ForeignSpi,
    /// A copy that was cut off arrives first.
    Truncate(prop::sample::Index),
}

const UNKNOWN_AT_FIRST: [u8; 2] = [8, 9];
/// UDP, ESP header and IV, behind the outer IP header.
const BEFORE_CIPHERTEXT: usize = 8 + 8 + 8;

fn sent() -> impl Strategy<Value = Sent> {
    let source = prop_oneof![9 => (2u8..4).prop_map(|h| (1, h)), 1 => Just((7, 2))];
    let destination = prop_oneof![
        9 => prop::sample::select(vec![2u8, 3, 8, 9]).prop_map(|h| (2, h)),
        1 => Just((3, 2)),
    ];
    let ttl = prop_oneof![8 => Just(64u8), 2 => 0u8..3];
    let length =
        prop_oneof![4 => 0usize..200, 2 => 1418usize - 80..1438 + 40, 1 => 1300usize..1900];
    let index = any::<prop::sample::Index>;
    let abuse = prop_oneof![
        6 => Just(Abuse::None),
        1 => index().prop_map(Abuse::Forge),
        1 => Just(Abuse::Replay),
        1 => Just(Abuse::ForeignSpi),
        1 => index().prop_map(Abuse::Truncate),
    ];
    (
        any::<bool>(),
        source,
        destination,
        ttl,
        length,
        any::<bool>(),
        prop::bool::weighted(0.1),
        abuse,
    )
        .prop_map(
            |(v6, source, destination, ttl, length, dont_fragment, options, abuse)| Sent {
                v6,
                source,
                destination,
                ttl,
                length,
                dont_fragment,
                options,
                abuse,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => sent().prop_map(Step::Send),
        2 => (0u64..700).prop_map(Step::Pass),
        1 => prop::sample::subsequence(UNKNOWN_AT_FIRST.to_vec(), 0..=2).prop_map(Step::Learn),
    ]
}

/// A packet that waits at gateway 2: when its time is over, its host, its number.
struct Waiter {
    deadline: u64,
    /// Known by two addresses, one of each family, which are asked for apart.
    hop: (bool, u8),
    number: u16,
}

/// What must have happened so far.
#[derive(Default)]
struct Model {
    outer_v6: bool,
    now: u64,
    known: Vec<u8>,
    waiting: Vec<Waiter>,
    /// Numbers in the order in which gateway 2 must send them; a fragmented packet appears twice.
    delivered: Vec<u16>,
    a: BTreeMap<&'static str, u64>,
    b: BTreeMap<&'static str, u64>,
    icmp: u64,
    fragments: u64,
}

impl Model {
    /// How many ESP packets gateway 1 makes of this one.
    fn seal(&mut self, sent: &Sent, total: usize) -> usize {
        let drop = |counts: &mut BTreeMap<_, _>, reason: Drop| {
            *counts.entry(reason.name()).or_default() += 1;
            0
        };
        if sent.destination.0 == 3 {
            return drop(&mut self.a, Drop::NoTunnel);
        }
        if sent.source.0 == 7 {
            return drop(&mut self.a, Drop::SelectorSource);
        }
        if sent.ttl <= 1 {
            self.icmp += 1;
            return drop(&mut self.a, Drop::TtlExceeded);
        }
        if total <= max_inner(self.outer_v6) {
            return 1;
        }
        if sent.v6 || sent.dont_fragment {
            self.icmp += 1;
            return drop(&mut self.a, Drop::TooBig);
        }
        if sent.options {
            return drop(&mut self.a, Drop::TooBigOptions);
        }
        self.fragments += 1;
        2
    }

    /// One ESP packet and its abused copy reach gateway 2.
    fn open(&mut self, sent: &Sent, number: u16) {
        let mut drop = |reason: Drop| *self.b.entry(reason.name()).or_default() += 1;
        match sent.abuse {
            Abuse::None => {}
            Abuse::Forge(_) => drop(Drop::AuthenticationFailed),
            Abuse::Replay => drop(Drop::Replayed),
            Abuse::ForeignSpi => drop(Drop::UnknownSpi),
            Abuse::Truncate(_) if self.outer_v6 => drop(Drop::Ipv6Malformed),
            Abuse::Truncate(_) => drop(Drop::Ipv4Malformed),
        }
        let host = sent.destination.1;
        let hop = (sent.v6, host);
        if !UNKNOWN_AT_FIRST.contains(&host) || self.known.contains(&host) {
            self.delivered.push(number);
        } else if self.waiting.iter().filter(|w| w.hop == hop).count() < 32 {
            let deadline = self.now + 1000;
            self.waiting.push(Waiter {
                deadline,
                hop,
                number,
            });
        } else {
            drop(Drop::NeighbourQueueFull);
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let before = self.waiting.len();
        self.waiting.retain(|w| w.deadline > self.now);
        let expired = (before - self.waiting.len()) as u64;
        if expired > 0 {
            *self.b.entry(Drop::NeighbourUnresolved.name()).or_default() += expired;
        }
    }

    fn learn(&mut self, hosts: &[u8]) {
        self.known = hosts.to_vec();
        let (go, stay) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w| hosts.contains(&w.hop.1));
        self.waiting = stay;
        let go: Vec<Waiter> = go;
        self.delivered.extend(go.iter().map(|w| w.number));
    }
}

/// The copy that the network makes, and whether it comes before the packet itself.
fn abused(frame: &[u8], abuse: &Abuse) -> Option<(Vec<u8>, bool)> {
    let mut copy = frame.to_vec();
    let udp = 14 + header(frame);
    let ciphertext = udp + BEFORE_CIPHERTEXT;
    match abuse {
        Abuse::None => return None,
        Abuse::Replay => return Some((copy, false)),
        Abuse::Forge(index) => {
            let bit = index.index((copy.len() - ciphertext) * 8);
            copy[ciphertext + bit / 8] ^= 1 << (bit % 8);
        }
        Abuse::ForeignSpi => copy[udp + 8] ^= 0x80,
        Abuse::Truncate(index) => copy.truncate(udp + index.index(copy.len() - udp)),
    }
    Some((copy, true))
}

fn drops(totals: &Totals) -> BTreeMap<&'static str, u64> {
    let some = totals.drops.iter().filter(|&(_, count)| count > 0);
    some.map(|(reason, count)| (reason.name(), count)).collect()
}

fn packet(sent: &Sent, number: u16) -> Packet {
    let data: Vec<u8> = (0..sent.length)
        .map(|i| (i as u16 ^ number) as u8)
        .collect();
    Packet {
        ttl: sent.ttl,
        flags: if sent.dont_fragment { DONT_FRAGMENT } else { 0 },
        identification: number,
        options: match (sent.options, sent.v6) {
            (false, _) => Vec::new(),
            (true, false) => vec![1; 4],
            // PadN: RFC 8200 section 4.2.
            (true, true) => vec![1, 4, 0, 0, 0, 0],
        },
        ..Packet::udp(
            host(sent.v6, sent.source.0, sent.source.1),
            host(sent.v6, sent.destination.0, sent.destination.1),
            &data,
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Two gateways do to every packet what the model says, in the order that it says.
    /// Standard: duplicate, bad-icv, inner-ipv4, inner-ipv6, mixed-families
    #[test]
    fn every_packet_ends_where_it_must(
        outer_v6: bool,
        steps in prop::collection::vec(step(), 1..50),
    ) {
        let (mut a, mut b) = both(&Setup { outer_v6, ..Setup::default() });
        let mut model = Model { outer_v6, ..Model::default() };
        let mut packets = BTreeMap::new();
        let mut out = Vec::new();
        for step in &steps {
            match step {
                Step::Pass(milliseconds) => {
                    model.pass(*milliseconds);
                    b.pass(Duration::from_millis(*milliseconds));
                    out.extend(b.work());
                }
                Step::Learn(hosts) => {
                    model.learn(hosts);
                    let known = [&[1, 2, 3], &hosts[..]].concat();
                    b.control.send(Command::Routes(routes(2, &known))).expect("a worker");
                    out.extend(b.work());
                }
                Step::Send(sent) => {
                    let number = packets.len() as u16;
                    let packet = packet(sent, number);
                    let pieces = model.seal(sent, packet.ip().len());
                    let frame = packet.frame(gateway_mac(1));
                    packets.insert(number, packet);
                    // What is not for the router answers the sender.
                    let esp: Vec<_> = a
                        .exchange(&[frame])
                        .into_iter()
                        .filter(|f| f[..6] == host_mac(1, 1))
                        .collect();
                    prop_assert_eq!(esp.len(), pieces);
                    for frame in esp {
                        model.open(sent, number);
                        let frame = carried(frame, 1);
                        let mut arriving = vec![frame.clone()];
                        if let Some((copy, first)) = abused(&frame, &sent.abuse) {
                            arriving.insert(usize::from(!first), copy);
                        }
                        out.extend(b.exchange(&arriving));
                    }
                }
            }
            prop_assert_eq!(b.totals().waiting, model.waiting.len() as u64);
        }

        let ids: Vec<u16> = out.iter().map(|frame| identification(&frame[14..])).collect();
        prop_assert_eq!(&ids, &model.delivered, "order and number");
        let mut fragments: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
        for frame in &out {
            let ip = frame[14..].to_vec();
            prop_assert_eq!(word(frame, 12), if ip[0] >> 4 == 6 { 0x86dd } else { 0x0800 });
            let packet = &packets[&identification(&ip)];
            if ip[0] >> 4 == 6 || word(&ip, 6) & (MORE | 0x1fff) == 0 {
                prop_assert_eq!(ip, packet.forwarded());
            } else {
                fragments.entry(word(&ip, 4)).or_default().push(ip);
            }
        }
        for (number, pieces) in fragments.iter().filter(|(_, pieces)| pieces.len() == 2) {
            prop_assert_eq!(&reassemble(pieces), &packets[number].payload);
        }

        let (a, b) = (a.finish(), b.finish());
        prop_assert_eq!(drops(&a), model.a);
        prop_assert_eq!(a.originated, model.icmp + model.fragments);
        let shutdown = model.waiting.len() as u64;
        if shutdown > 0 {
            model.b.insert(Drop::Shutdown.name(), shutdown);
        }
        prop_assert_eq!(drops(&b), model.b);
        prop_assert_eq!(b.sent, out.len() as u64);
    }
}

/// Octets that get past the first checks: towards a peer, towards the gateway itself, or noise.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let tail = prop::collection::vec(any::<u8>(), 0..120);
    (tail, 0u8..6, any::<[u8; 10]>(), any::<bool>()).prop_map(|(tail, kind, noise, v6)| {
        let destination = match kind {
            0 => return [&noise[..], &tail].concat(),
            1 | 2 => address(v6, 1),
            _ => host(v6, 2, noise[0]),
        };
        // IPv6's extension headers among them.
        let protocols: &[u8] = if v6 {
            &[58, 6, 17, 50, 0, 43, 44, 60]
        } else {
            &[1, 6, 17, 50]
        };
        let known = protocols.get(usize::from(noise[5]) % (protocols.len() + 1));
        let mut ip = Packet {
            protocol: *known.unwrap_or(&noise[4]),
            ttl: noise[9],
            flags: u16::from_be_bytes([noise[6] & 0xe0, noise[7] & noise[8]]),
            options: Vec::new(),
            payload: tail.clone(),
            ..Packet::udp(host(v6, 1, 2), destination, &[])
        }
        .ip();
        // Now and then a length or a header's length that lies.
        if noise[1] == 0 {
            let at = if v6 { 5 } else { 3 };
            ip[at] = ip[at].wrapping_add(noise[2]);
        }
        if !v6 && noise[3] < 64 {
            ip[0] = 0x40 | noise[2] & 0xf;
        }
        let mut frame = ethernet(gateway_mac(1), &ip);
        let udp = 14 + header(&frame);
        if kind == 1 && tail.len() > 12 && frame.len() == udp + tail.len() {
            // ESP in UDP for the SA that exists, or a keepalive, or IKE.
            frame[14 + if v6 { 6 } else { 9 }] = 17;
            frame[udp + 2..udp + 4].copy_from_slice(&4500u16.to_be_bytes());
            frame[udp + 8..udp + 12].copy_from_slice(&0x2000u32.to_be_bytes());
        }
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever octets come, nothing panics, every packet is accounted for and every frame comes
    /// home.
    #[test]
    fn any_octets(
        frames in prop::collection::vec(plausible(), 1..80),
        outer_v6: bool,
        clamp_mss: bool,
        ring in 1usize..64,
        burst in 1usize..20,
    ) {
        let setup = Setup { outer_v6, clamp_mss, burst, ring, frames: 128, ..Setup::default() };
        let mut a = Side::new(1, &setup);
        let mut injected = 0;
        for frame in frames.iter().filter(|frame| !frame.is_empty()) {
            injected += u64::from(a.wire.inject(frame));
            if injected % 7 == 0 {
                a.work();
            }
        }
        a.work();
        let totals = a.finish();
        prop_assert!(totals.received <= injected);
        prop_assert!(totals.received > 0);
    }
}
