//! Messages of a raw ICMP socket: reports that a sent packet exceeded the path MTU.

use causeway_gateway::{Command, TooBig};

use crate::input::Input;
use crate::packet::{Packet, icmp_error};
use crate::side::{MTU, Setup, Side, gateway_mac};

/// The smallest MTU for inner packets of 1280 bytes in UDP over IPv4.
const FLOOR: u64 = 1344;

/// Input: a byte for the kind. Then follows an IPv4 packet, an ICMPv6 message, or the parameters of a valid report (type 3
/// code 4): its MTU, the length of its quote, and changes to the quoted packet.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let mut side = Side::new(1, &Setup::default());
    let inner = Packet::udp([10, 1, 0, 2], [10, 2, 0, 3], &[7; 100]);
    let sent = side.exchange(&[inner.frame(gateway_mac(1))]);
    let sent = &sent[0][14..];
    let report = match input.octet() % 3 {
        0 => TooBig::ipv4(input.0),
        1 => TooBig::ipv4(&valid_report(&mut input, sent)),
        _ => TooBig::icmpv6(input.0),
    };
    let Some(report) = report else { return };
    let at = side.now;
    side.control
        .send(Command::TooBig { report, at })
        .expect("a worker");
    side.work();
    let mtu = side.control.counters.path_mtus()[0];
    assert!((FLOOR..=MTU as u64).contains(&mtu));
    if mtu < MTU as u64 {
        assert_eq!(mtu, report.mtu as u64);
        assert_eq!(report.spi, 0x1000);
    }
    side.finish();
}

fn valid_report(input: &mut Input<'_>, sent: &[u8]) -> Vec<u8> {
    let mtu = input.word();
    let quoted = usize::from(input.octet());
    let mut message = vec![3, 4, 0, 0, 0, 0];
    message.extend_from_slice(&mtu.to_be_bytes());
    message.extend_from_slice(&sent[..sent.len().min(quoted)]);
    while !input.is_empty() {
        let at = 8 + usize::from(input.octet());
        let octet = input.octet();
        if let Some(there) = message.get_mut(at) {
            *there = octet;
        }
    }
    icmp_error(message)
}
