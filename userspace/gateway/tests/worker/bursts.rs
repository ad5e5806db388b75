//! A burst gives the same result as its packets one by one.

use causeway_esp::{NAT_T_PORT, OutboundSa};
use causeway_gateway::{Command, Event, Totals, Tunnel};
use proptest::prelude::*;

use crate::packet::{DONT_FRAGMENT, Packet, ethernet};
use crate::side::{
    Setup, Side, address, config, gateway_mac, host, max_inner, outbound, routes, tunnel,
};

/// A packet for gateway 1. The gateway has two tunnels: to VPC 2, and to VPC 3 for a part of VPC 2's prefix.
#[derive(Clone, Debug)]
enum Arriving {
    Plain {
        v6: bool,
        /// Whether the source belongs to VPC 1, or to no VPC.
        known: bool,
        /// Whether the destination is behind the second tunnel.
        second: bool,
        ttl: u8,
        big: bool,
        dont_fragment: bool,
    },
    Esp {
        v6: bool,
        second: bool,
        /// The destination host. The MAC address of host 9 is unknown.
        host: u8,
        damage: Damage,
    },
    Noise(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Damage {
    None,
    Forged,
    Duplicated,
    UnknownSpi,
}

fn arriving() -> impl Strategy<Value = Arriving> {
    let weighted = |probability| prop::bool::weighted(probability);
    let plain = (
        any::<bool>(),
        weighted(0.9),
        weighted(0.2),
        prop_oneof![9 => Just(64u8), 1 => Just(1)],
        weighted(0.1),
        any::<bool>(),
    )
        .prop_map(
            |(v6, known, second, ttl, big, dont_fragment)| Arriving::Plain {
                v6,
                known,
                second,
                ttl,
                big,
                dont_fragment,
            },
        );
    let damage = prop_oneof![
        6 => Just(Damage::None),
        1 => Just(Damage::Forged),
        1 => Just(Damage::Duplicated),
        1 => Just(Damage::UnknownSpi),
    ];
    let host = prop::sample::select(vec![2u8, 3, 9]);
    let esp =
        (any::<bool>(), weighted(0.2), host, damage).prop_map(|(v6, second, host, damage)| {
            Arriving::Esp {
                v6,
                second,
                host,
                damage,
            }
        });
    let noise = prop::collection::vec(any::<u8>(), 1..60).prop_map(Arriving::Noise);
    prop_oneof![10 => plain, 10 => esp, 1 => noise]
}

/// A remote host. Host 7 of VPC 2 is behind the second tunnel.
fn far_host(v6: bool, second: bool) -> std::net::IpAddr {
    host(v6, 2, if second { 7 } else { 3 })
}

/// The frames of a packet: two if it is duplicated.
fn frames(packet: &Arriving, number: u16, sas: &mut [OutboundSa; 2]) -> Vec<Vec<u8>> {
    match packet {
        Arriving::Noise(bytes) => vec![bytes.clone()],
        &Arriving::Plain {
            v6,
            known,
            second,
            ttl,
            big,
            dont_fragment,
        } => {
            let source = host(v6, if known { 1 } else { 8 }, 2);
            let length = if big { max_inner(false) } else { 20 };
            let packet = Packet {
                ttl,
                identification: number,
                flags: if dont_fragment { DONT_FRAGMENT } else { 0 },
                ..Packet::udp(source, far_host(v6, second), &vec![1; length])
            };
            vec![packet.frame(gateway_mac(1))]
        }
        Arriving::Esp {
            v6,
            second,
            host: at,
            damage,
        } => {
            let inner = Packet {
                identification: number,
                ..Packet::udp(far_host(*v6, *second), host(*v6, 1, *at), &[2; 30])
            }
            .ip();
            let mut room = [&inner[..], &[0; 64]].concat();
            let mut out = vec![0; inner.len() + 128];
            let sa = &mut sas[usize::from(*second)];
            let length = sa.seal(&mut room, inner.len(), &mut out).expect("a packet");
            let mut frame = ethernet(gateway_mac(1), &out[..length]);
            match damage {
                Damage::None => {}
                Damage::Duplicated => return vec![frame.clone(), frame],
                Damage::Forged => *frame.last_mut().expect("an ICV") ^= 1,
                Damage::UnknownSpi => frame[14 + 28] ^= 0x80,
            }
            vec![frame]
        }
    }
}

/// Gateway 1 with this burst size. The second tunnel's peer is behind the router, like the first one's, or it is a
/// neighbour whose MAC address is unknown.
fn side(burst: usize, router_known: bool, second_known: bool) -> Side {
    let setup = Setup {
        burst,
        ..Setup::default()
    };
    let mut config = config(1, &setup);
    let behind = [false, true].map(|v6| far_host(v6, true).into());
    config.tunnels.push(Tunnel {
        peer: if second_known {
            address(false, 2)
        } else {
            host(false, 1, 9)
        },
        ..tunnel(1, 3, behind.to_vec(), &setup)
    });
    if !router_known {
        config.routes = routes(1, &[2, 3]);
    }
    Side::with(config, &setup)
}

/// The burst limit of audit events. With more events than this, the reported ones depend on their order.
const AUDIT_BURST: usize = 10;

/// The key under which sent packets have an order: that of one SA, sealed or opened, and thus of a flow.
fn order_key(frame: &[u8]) -> Vec<u8> {
    let packet = &frame[14..];
    let (ipv6, is_udp) = (packet[0] >> 4 == 6, packet[9] == 17);
    if !ipv6 && is_udp && packet[22..24] == NAT_T_PORT.to_be_bytes() {
        return packet[28..32].to_vec();
    }
    // A remote host, which identifies the tunnel, or the gateway itself.
    vec![packet[if ipv6 { 23 } else { 15 }]]
}

/// The results of processing the frames: the packets sent at once, those sent after all neighbours are known, the audit
/// events, and the counters. Items without a defined order are sorted.
fn outcome(mut side: Side, frames: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Event>, Totals) {
    let mut out = side.exchange(frames);
    side.control
        .send(Command::Routes(routes(1, &[1, 2, 3, 9])))
        .expect("a worker");
    out.sort_by_key(|frame| order_key(frame));
    let mut later = side.work();
    later.sort_by_key(|frame| order_key(frame));
    out.extend(later);
    let audits = side.control.events.try_iter();
    let audits = audits.filter(|event| matches!(event, Event::Audit(_)));
    let mut audits: Vec<_> = audits.collect();
    audits.sort_by_key(|event| match event {
        Event::Audit(audit) => audit.spi,
        _ => 0,
    });
    if audits.len() == AUDIT_BURST {
        audits.clear();
    }
    let totals = Totals {
        rounds: 0,
        empty_rounds: 0,
        ..side.finish()
    };
    (out, audits, totals)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The packets are equal byte by byte, in the same order for each SA, with equal counters and audit events.
    #[test]
    fn a_burst_gives_the_same_result_as_single_packets(
        packets in prop::collection::vec(arriving(), 1..160),
        burst in 2usize..70,
        router_known in prop::bool::weighted(0.6),
        second_known in prop::bool::weighted(0.6),
    ) {
        let mut sas = [2, 3].map(|from| outbound(from, 1, &Setup::default()));
        let numbered = packets.iter().zip(0..);
        let frames: Vec<_> = numbered.flat_map(|(p, number)| frames(p, number, &mut sas)).collect();
        let of = |burst| outcome(side(burst, router_known, second_known), &frames);
        prop_assert_eq!(of(burst), of(1));
    }
}
