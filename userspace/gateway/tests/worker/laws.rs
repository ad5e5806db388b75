//! The laws: every packet is sent or dropped under one reason, every frame comes home, flows keep their order, and
//! payload arrives unchanged. The tests compare two gateways with a model that predicts the fate of each packet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use causeway_gateway::{Command, Hold, Totals};
use causeway_rescale::message::{HoldTimeoutAction, PORT};
use causeway_steering::{BUCKETS, DropReason};
use proptest::prelude::*;

use crate::holds::{HASH, bucket};
use crate::markers::meet;
use crate::model::{Abuse, HOLD_PACKETS, Model, Sent, Step, step};
use crate::packet::{DONT_FRAGMENT, MORE, Packet, ethernet, identification, reassemble, word};
use crate::side::{
    Setup, Side, address, both, carried, gateway_mac, header, host, host_mac, routes,
};

/// The bytes of UDP header, ESP header and IV behind the outer IP header.
const BEFORE_CIPHERTEXT: usize = 8 + 8 + 8;

/// The manipulated copy, and whether it arrives before the packet itself.
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

/// The frames for the router. All others are ICMP errors to the sender.
fn to_router(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let router = host_mac(1, 1);
    frames.into_iter().filter(|f| f[..6] == router).collect()
}

/// Delivers an ESP packet and its manipulated copy to gateway 2, and returns the frames that gateway 2 sends.
fn arrive(
    far: &mut Side,
    model: &mut Model,
    sent: &Sent,
    number: u16,
    frame: Vec<u8>,
) -> Vec<Vec<u8>> {
    model.open(sent, number);
    let frame = carried(frame, 1);
    let mut arriving = vec![frame.clone()];
    if let Some((copy, first)) = abused(&frame, &sent.abuse) {
        arriving.insert(usize::from(!first), copy);
    }
    far.exchange(&arriving)
}

/// A hold of every third bucket.
fn hold(id: u64, remainder: u32, now: Instant) -> Hold {
    Hold {
        tunnel: 0,
        id,
        buckets: (remainder..BUCKETS).step_by(3).collect(),
        hash: HASH,
        until: now + Duration::from_secs(1),
        hold_timeout_action: HoldTimeoutAction::Drop,
    }
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

    /// Two gateways process every packet as the model predicts, in the predicted order.
    /// Standard: duplicate, bad-icv, inner-ipv4, inner-ipv6, mixed-families
    #[test]
    fn every_packet_ends_as_the_model_predicts(
        outer_v6: bool,
        steps in prop::collection::vec(step(), 1..50),
    ) {
        let hold_packets = HOLD_PACKETS;
        let (mut a, mut b) = both(&Setup { outer_v6, hold_packets, ..Setup::default() });
        meet(&mut b, &Packet::udp([10, 1, 0, 100], [10, 2, 0, 3], &[0; 40]).with_ports(PORT));
        let mut holds = 0;
        let mut model = Model::new(outer_v6);
        let mut packets: BTreeMap<u16, Packet> = BTreeMap::new();
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
                Step::Hold(remainder) => {
                    if model.hold(*remainder) {
                        holds += 1;
                        let hold = hold(holds, *remainder, a.now);
                        let _ = a.request(|reply| Command::Hold { hold, reply });
                        prop_assert_eq!(a.work().len(), 0);
                    }
                }
                Step::Release => {
                    let Some(held) = model.release() else { continue };
                    let id = holds;
                    let released = a.request(|reply| Command::Release { id, reply });
                    let mut sealed = to_router(a.work()).into_iter();
                    prop_assert!(released.try_recv().is_ok());
                    for (sent, number) in held {
                        let pieces = model.seal(&sent, packets[&number].ip().len());
                        for frame in sealed.by_ref().take(pieces) {
                            out.extend(arrive(&mut b, &mut model, &sent, number, frame));
                        }
                    }
                    prop_assert_eq!(sealed.len(), 0);
                }
                Step::Mark => {
                    let number = packets.len() as u16;
                    let marker = Packet {
                        ttl: 65,
                        identification: number,
                        ..Packet::udp([10, 1, 0, 100], [10, 2, 0, 3], &[0; 40]).with_ports(PORT)
                    };
                    let packet = marker.forwarded();
                    let sealed = a.request(|reply| Command::Mark {
                        tunnel: 0,
                        packet,
                        behind: true,
                        reply,
                    });
                    packets.insert(number, marker);
                    let esp = to_router(a.work());
                    prop_assert_eq!(sealed.try_recv(), Ok(Ok(())));
                    prop_assert_eq!(esp.len(), 1);
                    model.mark(number);
                    out.extend(b.exchange(&[carried(esp[0].clone(), 1)]));
                }
                Step::Fence(fenced) => {
                    model.fence(*fenced);
                    let fenced = *fenced;
                    let done = b.request(|reply| Command::Fence { tunnel: 0, fenced, reply });
                    prop_assert_eq!(b.work().len(), 0);
                    prop_assert_eq!(done.try_recv(), Ok(Ok(())));
                }
                Step::Send(sent) => {
                    let number = packets.len() as u16;
                    let packet = packet(sent, number);
                    let (total, frame) = (packet.ip().len(), packet.frame(gateway_mac(1)));
                    packets.insert(number, packet);
                    let pieces = if model.keep(sent, number, bucket(&frame)) {
                        0
                    } else {
                        model.seal(sent, total)
                    };
                    let esp = to_router(a.exchange(&[frame]));
                    prop_assert_eq!(esp.len(), pieces);
                    for frame in esp {
                        out.extend(arrive(&mut b, &mut model, sent, number, frame));
                    }
                }
            }
            prop_assert_eq!(a.totals().waiting, model.held.len() as u64);
            prop_assert_eq!(b.totals().waiting, model.waiting() as u64);
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

        let waiting = model.waiting();
        let (a, b) = (a.finish(), b.finish());
        prop_assert_eq!(a.originated, model.icmp + model.fragments + model.marks);
        let left = [(&mut model.a, model.held.len()), (&mut model.b, waiting)];
        for (counts, left) in left.into_iter().filter(|&(_, left)| left > 0) {
            counts.insert(DropReason::Shutdown.name(), left as u64);
        }
        prop_assert_eq!(drops(&a), model.a);
        prop_assert_eq!(drops(&b), model.b);
        prop_assert_eq!(b.sent, out.len() as u64);
    }
}

/// Frames that pass the first checks, to a peer or to the gateway itself, and random bytes.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let tail = prop::collection::vec(any::<u8>(), 0..120);
    (tail, 0u8..6, any::<[u8; 10]>(), any::<bool>()).prop_map(|(tail, kind, noise, v6)| {
        let destination = match kind {
            0 => return [&noise[..], &tail].concat(),
            1 | 2 => address(v6, 1),
            _ => host(v6, 2, noise[0]),
        };
        // The list for IPv6 includes extension headers.
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
        // Sometimes a wrong packet length or header length.
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
            // ESP in UDP for the existing SA, a keepalive, or IKE.
            frame[14 + if v6 { 6 } else { 9 }] = 17;
            frame[udp + 2..udp + 4].copy_from_slice(&4500u16.to_be_bytes());
            frame[udp + 8..udp + 12].copy_from_slice(&0x2000u32.to_be_bytes());
        }
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// With arbitrary frames nothing panics, every packet is counted and every frame comes home.
    #[test]
    fn arbitrary_frames_are_counted_and_come_home(
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
