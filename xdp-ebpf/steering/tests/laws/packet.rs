//! Builds IPv4 and IPv6 frames.

use causeway_steering::headers::{ETHERNET, protocol};
use causeway_steering::{Address, FlowKey, Headers, Malformed};
use proptest::prelude::*;

/// The position of a fragment in its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    First,
    Middle,
    Last,
}

/// An IPv6 extension header: its number, and its octets without the first, the next header.
pub type Extension = (u8, Vec<u8>);

/// Three addresses of one family: two hosts and a router between them.
pub fn ends() -> impl Strategy<Value = [Address; 3]> {
    let v6 = any::<u128>().prop_map(|bits| Address::v6(bits | 1 << 127));
    prop_oneof![
        prop::array::uniform3(any::<u32>().prop_map(Address::v4)),
        prop::array::uniform3(v6),
    ]
}

/// A chain of extension headers that the parser skips entirely: at most four, no segments left.
pub fn extensions() -> impl Strategy<Value = Vec<Extension>> {
    let options = (prop::sample::select(vec![0, 60]), 0..3u8, any::<[u8; 30]>());
    let options = options.prop_map(|(kind, units, octets)| {
        let octets = &octets[..6 + 8 * usize::from(units)];
        (kind, [&[units], octets].concat())
    });
    let routing = any::<[u8; 20]>().prop_map(|octets| (43, [&[2, 4, 0], &octets[..]].concat()));
    // Without an offset and without the "more" flag it is a whole packet.
    let atomic = any::<[u8; 5]>();
    let atomic = atomic.prop_map(|[reserved, id @ ..]| (44, [&[reserved, 0, 0], &id[..]].concat()));
    prop::collection::vec(prop_oneof![options, routing, atomic], 0..=4)
}

/// The ICMP of the address's family: protocol, and the types of echo request and echo reply.
pub fn icmp(address: Address) -> (u8, u8, u8) {
    match address.is_ipv4() {
        true => (protocol::ICMP, 8, 0),
        false => (protocol::ICMPV6, 128, 129),
    }
}

/// An Ethernet frame with a packet of the addresses' family.
pub fn frame(from: Address, to: Address, protocol: u8, part: Part, payload: &[u8]) -> Vec<u8> {
    if from.is_ipv4() {
        return ipv4(from, to, protocol, part, payload);
    }
    let field: u16 = match part {
        Part::Whole => return behind(from, to, &[], protocol, payload),
        Part::First => 1,
        Part::Middle => 0x19,
        Part::Last => 0x30,
    };
    let fragment = [&[0], &field.to_be_bytes()[..], &[0, 0, 0, 7]].concat();
    behind(from, to, &[(44, fragment)], protocol, payload)
}

fn ipv4(from: Address, to: Address, protocol: u8, part: Part, payload: &[u8]) -> Vec<u8> {
    let field: u16 = match part {
        Part::Whole => 0,
        Part::First => 0x2000,
        Part::Middle => 0x2003,
        Part::Last => 0x0006,
    };
    let mut frame = vec![0; ETHERNET];
    frame.extend([0x45, 0]);
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(field.to_be_bytes());
    frame.extend([64, protocol, 0, 0]);
    frame.extend((from.low as u32).to_be_bytes());
    frame.extend((to.low as u32).to_be_bytes());
    frame.extend(payload);
    frame
}

/// An Ethernet frame with an IPv6 packet that has extension headers.
pub fn behind(
    from: Address,
    to: Address,
    extensions: &[Extension],
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut next: Vec<u8> = extensions.iter().map(|(kind, _)| *kind).collect();
    next.push(protocol);
    let mut chain = Vec::new();
    for ((_, body), next) in extensions.iter().zip(&next[1..]) {
        chain.push(*next);
        chain.extend(body);
    }
    chain.extend(payload);
    let [high, low] = (chain.len() as u16).to_be_bytes();
    let mut frame = vec![0; ETHERNET];
    frame.extend([0x60, 0, 0, 0, high, low, next[0], 64]);
    frame.extend(from.bits().to_be_bytes());
    frame.extend(to.bits().to_be_bytes());
    frame.extend(chain);
    frame
}

/// A frame with VLAN tags: type and control information of each.
pub fn behind_tags(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let (addresses, carried) = frame.split_at(12);
    let tags = tags.iter().flat_map(|&(kind, control)| [kind, control]);
    let tags: Vec<u8> = tags.flat_map(u16::to_be_bytes).collect();
    [addresses, &tags, carried].concat()
}

/// The flow key of a valid frame.
pub fn key(frame: &[u8]) -> FlowKey {
    let headers = match Headers::parse(frame, ETHERNET) {
        Ok(headers) => headers,
        Err(Malformed) => panic!("this file built a malformed frame: {frame:?}"),
    };
    FlowKey::of(frame, &headers)
}

/// A transport header that starts with these ports.
pub fn ports(source: u16, destination: u16) -> Vec<u8> {
    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    [ports, vec![0; 16]].concat()
}
