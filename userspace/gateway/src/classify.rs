//! Which path a received frame takes.

use std::ops::Range;

use causeway_steering::headers::{ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
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

/// Whether a frame holds the usual: IPv4 without options, behind no VLAN tag. What is read of one is in fixed places,
/// and its addresses have 32 bits: whoever compiles for it alone saves a third of the time.
#[inline(always)]
pub(crate) fn is_usual(frame: &[u8]) -> bool {
    let [high, low] = ETHERTYPE_IPV4.to_be_bytes();
    frame.get(12..15) == Some(&[high, low, 0x45])
}

/// Reads the header of a frame that [`is_usual`].
#[inline(always)]
pub(crate) fn usual(frame: &[u8]) -> Result<Headers, Drop> {
    Headers::ipv4(frame, ETHERNET).map_err(|Malformed| Drop::Ipv4Malformed)
}

/// Reads the header of any frame.
pub(crate) fn unusual(frame: &[u8]) -> Result<Headers, Drop> {
    let ethernet = Ethernet::parse(frame).ok_or(Drop::EthernetTruncated)?;
    match ethernet.ethertype {
        ETHERTYPE_IPV4 => {
            Headers::ipv4(frame, ethernet.l3).map_err(|Malformed| Drop::Ipv4Malformed)
        }
        ETHERTYPE_IPV6 => {
            Headers::ipv6(frame, ethernet.l3).map_err(|Malformed| Drop::Ipv6Malformed)
        }
        _ => Err(Drop::NoTunnel),
    }
}

/// Tells the path of the packet under `headers` in `frame`, for a gateway with this `address` and these `peers`.
// Inlined, so that what was read stays in registers.
#[inline(always)]
pub(crate) fn classify(
    frame: &[u8],
    headers: Headers,
    address: Address,
    peers: &Prefixes,
) -> Result<Class, Drop> {
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
