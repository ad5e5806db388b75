//! The worker whole, over the NIC in memory, with any frames: nobody here has the key.

use causeway_esp::NAT_T_PORT;

use crate::input::Input;
use crate::packet::{ones_sum, word};
use crate::side::{Setup, Side, gateway_mac};

/// Octets: clamp and burst; then for each frame how it starts, its length, its octets.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let options = input.octet();
    let mut side = Side::new(
        1,
        &Setup {
            clamp_mss: options & 1 != 0,
            burst: 1 + usize::from(options >> 1) % 8,
            frames: 32,
            ring: 16,
            ..Setup::default()
        },
    );
    let mut injected = 0;
    while !input.is_empty() && injected < 12 {
        let frame = frame(&mut input);
        if !frame.is_empty() {
            injected += 1;
            side.wire.inject(&frame);
        }
        if injected % 3 == 0 {
            check(&side.work());
        }
    }
    check(&side.work());
    let totals = side.finish();
    assert_eq!(totals.opened.packets, 0, "opened what nobody sealed");
    assert!(totals.received <= injected);
}

/// Nothing leaves but ESP to the peer and ICMP errors to a host.
fn check(sent: &[Vec<u8>]) {
    for frame in sent {
        assert_eq!(frame[6..12], gateway_mac(1));
        let packet = &frame[14..];
        assert_eq!(packet[12..16], [10, 1, 0, 101], "sent in another's name");
        assert_eq!(ones_sum(&packet[..20]), 0xffff);
        assert_eq!(usize::from(word(packet, 2)), packet.len());
        match packet[9] {
            17 => {
                assert_eq!(packet[16..20], [10, 2, 0, 101]);
                assert_eq!(word(packet, 22), NAT_T_PORT);
                assert_eq!(usize::from(word(packet, 24)), packet.len() - 20);
            }
            1 => {
                assert_eq!(packet[16..18], [10, 1], "an error to one who is not ours");
                assert_eq!(ones_sum(&packet[20..]), 0xffff);
                assert!(packet.len() <= 576);
            }
            other => panic!("sent protocol {other}"),
        }
    }
}

/// A frame that may get past the first checks, as far as the input wants that.
fn frame(input: &mut Input) -> Vec<u8> {
    let kind = input.octet();
    let shape = kind & 3;
    let length = usize::from(input.word()) % 2000;
    let literal = input.octets(length.min(256));
    let mut frame = Vec::with_capacity(2048);
    if shape > 0 {
        frame.extend_from_slice(&gateway_mac(1));
        frame.extend_from_slice(&[2, 0, 0, 0, 0, 0x99, 0x08, 0x00]);
    }
    if shape > 1 {
        let to_gateway = shape == 3;
        let esp = if to_gateway { 16 } else { 0 };
        let tail = if kind & 8 == 0 { literal.len() } else { length };
        let total = (20 + esp + tail) as u16;
        frame.extend_from_slice(&[0x45, input.octet()]);
        frame.extend_from_slice(&total.to_be_bytes());
        frame.extend_from_slice(&[0, 1, kind & 0x60, 0, input.octet()]);
        frame.push([17, 6, 1, 50][usize::from(kind >> 4) & 1 | usize::from(kind >> 6) & 2]);
        frame.extend_from_slice(&[0, 0, 10, 1, 0, 2]);
        frame.extend_from_slice(if to_gateway {
            &[10, 1, 0, 101]
        } else {
            &[10, 2, 0, 3]
        });
        if to_gateway {
            // In UDP for the SA that exists, its length and number the input's.
            frame[23] = 17;
            let udp_length = if kind & 4 == 0 {
                total - 20
            } else {
                input.word()
            };
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
