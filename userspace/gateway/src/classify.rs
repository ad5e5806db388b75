//! Which path a received frame takes.

use std::ops::Range;

use causeway_steering::headers::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use causeway_steering::{Address, Drop, Headers, Inbound, Malformed};

use crate::prefix::Prefixes;

/// The path of a frame, with what was read on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Plaintext for a peer: into this tunnel.
    Seal { headers: Headers, tunnel: usize },
    /// ESP for this gateway, at these octets of the frame, in the packet at `l3`.
    Open {
        l3: usize,
        esp: Range<usize>,
        spi: u32,
    },
}

/// Tells the path of the packet in `frame`, for a gateway with this `address` and these `peers`.
// Inlined, so that what was read stays in registers.
#[inline(always)]
pub(crate) fn classify(frame: &[u8], address: Address, peers: &Prefixes) -> Result<Class, Drop> {
    let ethernet = Ethernet::parse(frame).ok_or(Drop::EthernetTruncated)?;
    let headers = match ethernet.ethertype {
        ETHERTYPE_IPV4 => {
            Headers::ipv4(frame, ethernet.l3).map_err(|Malformed| Drop::Ipv4Malformed)?
        }
        ETHERTYPE_IPV6 => {
            Headers::ipv6(frame, ethernet.l3).map_err(|Malformed| Drop::Ipv6Malformed)?
        }
        _ => return Err(Drop::NoTunnel),
    };
    if headers.destination == address {
        return match Inbound::of(frame, &headers) {
            Inbound::Esp { at, end, spi } => Ok(Class::Open {
                l3: headers.l3,
                esp: at..end,
                spi,
            }),
            Inbound::EspTruncated => Err(Drop::EspTruncated),
            Inbound::EspFragment => Err(Drop::EspFragment),
            Inbound::Keepalive => Err(Drop::Keepalive),
            Inbound::Ike | Inbound::Other => Err(Drop::NoTunnel),
        };
    }
    match peers.lookup(headers.destination) {
        Some(tunnel) => Ok(Class::Seal { headers, tunnel }),
        None => Err(Drop::NoTunnel),
    }
}
