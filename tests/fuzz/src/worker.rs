//! A whole worker over a NIC in memory, with arbitrary frames of senders without the key.

use std::net::IpAddr;
use std::time::Duration;

use causeway_esp::NAT_T_PORT;
use causeway_gateway::{Command, Hold};
use causeway_rescale::message::HoldTimeoutAction;
use causeway_steering::{BUCKETS, SteerHash};

use crate::input::Input;
use crate::packet::{ones_sum, ones_sum_ipv6, word};
use crate::side::{Setup, Side, address, gateway_mac, header, host};

/// Input: a byte for the clamp, the burst size and both families. Then for each frame its kind, its length and its content.
/// A kind with the highest bit set is a command instead.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let options = input.octet();
    let (outer_v6, inner_v6) = (options & 16 != 0, options & 32 != 0);
    let mut side = Side::new(
        1,
        &Setup {
            outer_v6,
            clamp_mss: options & 1 != 0,
            burst: 1 + usize::from(options >> 1) % 8,
            frames: 32,
            ring: 16,
            hold_packets: 4,
            ..Setup::default()
        },
    );
    side.worker.heartbeat(side.now);
    let (mut injected, mut commands) = (0, 0);
    while !input.is_empty() && injected < 12 && commands < 24 {
        if input.0[0] & 0x80 != 0 {
            commands += 1;
            command(&mut side, &mut input);
            continue;
        }
        let frame = frame(&mut input, outer_v6, inner_v6);
        if !frame.is_empty() {
            injected += 1;
            side.wire.inject(&frame);
        }
        if injected % 3 == 0 {
            check(&side.work(), outer_v6);
        }
    }
    check(&side.work(), outer_v6);
    let totals = side.finish();
    assert_eq!(
        totals.opened.packets, 0,
        "opened a packet that was not sealed"
    );
    assert!(totals.received <= injected);
}

/// Sends an arbitrary command of control.
fn command(side: &mut Side, input: &mut Input) {
    let (kind, id, choice) = (input.octet(), u64::from(input.octet()), input.octet());
    // Sometimes a tunnel that does not exist.
    let tunnel = usize::from(choice == 0xff);
    let id = id % 8;
    match kind & 7 {
        0 => {
            let hold = Hold {
                tunnel,
                id,
                // Every bucket, or every second, third or fourth.
                buckets: (0..BUCKETS).step_by(1 + usize::from(choice & 3)).collect(),
                hash: SteerHash::default(),
                until: side.now + Duration::from_millis(u64::from(choice)),
                hold_timeout_action: match choice & 4 {
                    0 => HoldTimeoutAction::Drop,
                    _ => HoldTimeoutAction::Send,
                },
            };
            drop(side.request(|reply| Command::Hold { hold, reply }));
        }
        1 => drop(side.request(|reply| Command::Release { id, reply })),
        2 => {
            let packet = input.octets(usize::from(choice)).to_vec();
            let behind = id & 1 == 0;
            drop(side.request(|reply| Command::Mark {
                tunnel,
                packet,
                behind,
                reply,
            }));
        }
        3 => {
            let fenced = id & 1 == 0;
            drop(side.request(|reply| Command::Fence {
                tunnel,
                fenced,
                reply,
            }));
        }
        4 => drop(side.request(|reply| Command::Reset { tunnel, reply })),
        _ => {
            side.pass(Duration::from_millis(2 * u64::from(choice)));
            side.worker.heartbeat(side.now);
        }
    }
    assert_eq!(side.worker.process_commands(), None);
}

/// Checks that all sent frames are ESP to the peer or ICMP errors to a host.
fn check(sent: &[Vec<u8>], outer_v6: bool) {
    for frame in sent {
        assert_eq!(frame[6..12], gateway_mac(1));
        let (packet, header) = (&frame[14..], header(frame));
        let ipv6 = header == 40;
        let (length, protocol) = if ipv6 {
            (40 + usize::from(word(packet, 4)), packet[6])
        } else {
            assert_eq!(ones_sum(&packet[..20]), 0xffff);
            (usize::from(word(packet, 2)), packet[9])
        };
        assert_eq!(length, packet.len());
        let ends = header - 2 * octets(address(ipv6, 1)).len();
        let (source, destination) = packet[ends..header].split_at((header - ends) / 2);
        assert_eq!(
            source,
            octets(address(ipv6, 1)),
            "sent with another source address"
        );
        match protocol {
            17 => {
                assert_eq!(ipv6, outer_v6);
                assert_eq!(destination, octets(address(ipv6, 2)));
                assert_eq!(word(packet, header + 2), NAT_T_PORT);
                assert_eq!(usize::from(word(packet, header + 4)), length - header);
                assert_eq!(word(packet, header + 6), 0);
            }
            1 | 58 => {
                assert_eq!(ipv6, protocol == 58);
                let prefix = if ipv6 { 4 } else { 2 };
                let ours = &octets(host(ipv6, 1, 0))[..prefix];
                assert!(
                    destination.starts_with(ours),
                    "an error to a host outside the VPC"
                );
                let sum = if ipv6 {
                    ones_sum_ipv6(packet)
                } else {
                    ones_sum(&packet[20..])
                };
                assert_eq!(sum, 0xffff);
                assert!(length <= if ipv6 { 1280 } else { 576 });
            }
            other => panic!("sent protocol {other}"),
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A frame that passes some of the first checks, as the input selects.
fn frame(input: &mut Input, outer_v6: bool, inner_v6: bool) -> Vec<u8> {
    let kind = input.octet();
    let shape = kind & 3;
    let length = usize::from(input.word()) % 2000;
    let literal = input.octets(length.min(256));
    let to_gateway = shape == 3;
    let ipv6 = if to_gateway { outer_v6 } else { inner_v6 };
    let mut frame = Vec::with_capacity(2048);
    if shape > 0 {
        frame.extend_from_slice(&gateway_mac(1));
        frame.extend_from_slice(&[2, 0, 0, 0, 0, 0x99]);
        frame.extend_from_slice(if ipv6 { &[0x86, 0xdd] } else { &[0x08, 0x00] });
    }
    if shape > 1 {
        let esp = if to_gateway { 16 } else { 0 };
        let tail = if kind & 8 == 0 { literal.len() } else { length };
        let payload = (esp + tail) as u16;
        // An IPv6 packet to a host may begin with any extension header. Its content comes from the input.
        let icmp = if ipv6 { 58 } else { 1 };
        let mut protocol =
            [17, 6, icmp, 50][usize::from(kind >> 4) & 1 | usize::from(kind >> 6) & 2];
        if to_gateway {
            protocol = 17;
        } else if ipv6 && kind & 0x20 != 0 {
            protocol = input.octet();
        }
        let (tos, ttl) = (input.octet(), input.octet());
        if ipv6 {
            frame.extend_from_slice(&[0x60 | tos >> 4, tos << 4, 0, 1]);
            frame.extend_from_slice(&payload.to_be_bytes());
            frame.extend_from_slice(&[protocol, ttl]);
        } else {
            frame.extend_from_slice(&[0x45, tos]);
            frame.extend_from_slice(&(20 + payload).to_be_bytes());
            frame.extend_from_slice(&[0, 1, kind & 0x60, 0, ttl, protocol, 0, 0]);
        }
        frame.extend(octets(host(ipv6, 1, 2)));
        frame.extend(octets(if to_gateway {
            address(ipv6, 1)
        } else {
            host(ipv6, 2, 3)
        }));
        if to_gateway {
            // ESP in UDP for the existing SA. Length and sequence number come from the input.
            let udp_length = if kind & 4 == 0 { payload } else { input.word() };
            frame.extend_from_slice(&[0x11, 0x95, 0x11, 0x94]);
            frame.extend_from_slice(&udp_length.to_be_bytes());
            frame.extend_from_slice(&[0, 0]);
            frame.extend_from_slice(if kind & 16 == 0 {
                &[0, 0, 0x20, 0]
            } else {
                &[0; 4]
            });
            frame.extend_from_slice(&u32::from(input.octet()).to_be_bytes());
        }
    }
    frame.extend_from_slice(literal);
    if kind & 8 != 0 {
        frame.resize(frame.len() + length - literal.len(), 0xee);
    }
    frame.truncate(2048);
    frame
}
