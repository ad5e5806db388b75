//! The two ICMP errors that a tunnel's entry must send, in either family.

mod error;
mod v4;
mod v6;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use causeway_device::Device;
use causeway_steering::Headers;
use causeway_steering::headers::ETHERNET;

use crate::egress::Egress;
use crate::io::Io;
use crate::next_hop::Route;
use crate::rate::TokenBucket;
use crate::transmit::Origin;

pub(crate) use error::Error;

/// The source addresses of errors: an address of this host for each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sources {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

/// Sends errors, at a limited rate.
pub(crate) struct IcmpErrors {
    sources: Sources,
    tokens: TokenBucket,
}

impl IcmpErrors {
    /// The source of each family is the first of its `addresses`.
    pub(crate) fn new(addresses: impl IntoIterator<Item = IpAddr>, tokens: TokenBucket) -> Self {
        let (mut v4, mut v6) = (None, None);
        for address in addresses {
            match address {
                IpAddr::V4(address) => v4 = v4.or(Some(address)),
                IpAddr::V6(address) => v6 = v6.or(Some(address)),
            }
        }
        let sources = Sources { v4, v6 };
        Self { sources, tokens }
    }

    /// Sends an error to the sender of the packet at the offset `l3` of `frame`, if the RFCs allow it and the sender has a
    /// next hop.
    #[cold]
    #[inline(never)]
    pub(crate) fn send<D: Device>(
        &mut self,
        error: Error,
        frame: &D::Frame,
        l3: usize,
        now: Instant,
        egress: &mut Egress<D::Frame>,
        io: &mut Io<D>,
    ) {
        let Ok(headers) = &Headers::parse(io.device.bytes(frame), l3) else {
            return;
        };
        let destination = IpAddr::from(headers.source);
        let hop = egress.routes.lookup(destination);
        let possible = allowed(error, io.device.bytes(frame), headers)
            && egress.waiting.admit(hop, 1).is_ok()
            && self.tokens.take(now);
        if !possible {
            return;
        }
        let Some(mut output) = io.device.allocate() else {
            return;
        };
        let packet = &io.device.bytes(frame)[headers.l3..headers.l3 + headers.total];
        let room = &mut io.device.room(&mut output)[ETHERNET..];
        match write(error, &self.sources, packet, room) {
            Some(length) => {
                let route = Route::own(destination, hop);
                egress.enqueue(output, length, Origin::Worker, route, now, io);
            }
            None => io.device.release(output),
        }
    }
}

/// Whether an error about the packet in `frame` may be sent.
fn allowed(error: Error, frame: &[u8], headers: &Headers) -> bool {
    if headers.is_ipv4() {
        v4::allowed(frame, headers)
    } else {
        v6::allowed(error, frame, headers)
    }
}

/// Writes the IP packet of an error about `packet`, which starts with its IP header, to the packet's source. Quotes as
/// much of it as fits. Returns the length, or `None` if this host has no address of the packet's family or `out` has no
/// room for the headers.
fn write(error: Error, sources: &Sources, packet: &[u8], out: &mut [u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        4 => v4::write(error, sources.v4?, packet, out),
        _ => v6::write(error, sources.v6?, packet, out),
    }
}
