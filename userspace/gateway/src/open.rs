//! The way in: ESP from a peer becomes plaintext.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Instant;

use causeway_device::Device;
use causeway_esp::{OpenError, Opened};
use causeway_routes::Lookup;
use causeway_steering::headers::ETHERNET;
use causeway_steering::{Address, Drop, Headers, Malformed};

use crate::backlog::Origin;
use crate::control::{Audit, Event};
use crate::mss;
use crate::worker::Worker;

/// An inner packet that may go on: its length, destination and next hop.
struct Passed {
    length: usize,
    destination: IpAddr,
    hop: Lookup,
}

impl<D: Device> Worker<D> {
    /// Opens the ESP packet that stands at the octets `esp` of `frame`.
    #[inline]
    pub(crate) fn open(
        &mut self,
        frame: &D::Frame,
        headers: &Headers,
        esp: Range<usize>,
        spi: u32,
        now: Instant,
    ) -> Result<(), Drop> {
        let Some(receiver) = self.inbound.get_mut(spi) else {
            self.audit(frame, headers, esp.start, Drop::UnknownSpi, now);
            return Err(Drop::UnknownSpi);
        };
        let tunnel = receiver.tunnel;
        let mut out = self.device.allocate().ok_or(Drop::NoFrame)?;
        let bytes = self.device.bytes(frame);
        let outer_tos = tos(&bytes[headers.l3..], headers.is_ipv4());
        let inner = &mut self.device.room(&mut out)[ETHERNET..];
        let at = esp.start;
        let opened = receiver.sa.sa.open(&bytes[esp], outer_tos, inner);
        let passed = opened
            .map_err(reason)
            .and_then(|opened| self.inspect(opened, tunnel, &mut out));
        match passed {
            Ok(passed) => {
                let (length, destination) = (passed.length, passed.destination);
                self.deliver(
                    out,
                    length,
                    Origin::Received(now),
                    destination,
                    passed.hop,
                    now,
                );
                Ok(())
            }
            Err(reason) => {
                self.device.release(out);
                self.audit(frame, headers, at, reason, now);
                Err(reason)
            }
        }
    }

    /// Whether what a peer's authentic packet held, now at the start of `out`, may go on.
    #[inline]
    fn inspect(
        &mut self,
        opened: Opened,
        tunnel: usize,
        out: &mut D::Frame,
    ) -> Result<Passed, Drop> {
        let length = match opened {
            Opened::Packet { len } => len,
            Opened::Dummy => return Err(Drop::Dummy),
        };
        self.totals.opened.add(length);

        let inner = &mut self.device.room(out)[ETHERNET..][..length];
        let headers = Headers::parse(inner, 0).map_err(|Malformed| Drop::InnerMalformed)?;
        // The longest prefix, so that a peer cannot speak for a more specific one of another.
        if self.peer_prefixes.lookup(headers.source) != Some(tunnel) {
            return Err(Drop::SelectorSource);
        }
        if self.own_prefixes.lookup(headers.destination).is_none() {
            return Err(Drop::SelectorDestination);
        }
        let lane = &self.lanes[tunnel];
        if lane.clamp_mss {
            mss::clamp(inner, &headers, lane.max_inner);
        }
        let destination = headers.destination.into();
        let hop = self.next_hop(headers.destination);
        self.admit(hop, 1)?;
        Ok(Passed {
            length,
            destination,
            hop,
        })
    }

    /// The next hop of an inner packet. Packets come in runs to one destination, so the last
    /// answer is kept until the routes change.
    #[inline]
    fn next_hop(&mut self, destination: Address) -> Lookup {
        match self.last_hop {
            Some((last, hop)) if last == destination => hop,
            _ => {
                let hop = self.routes.lookup(destination.into());
                self.last_hop = Some((destination, hop));
                hop
            }
        }
    }

    /// Tells control of an auditable drop, at a limited rate.
    #[cold]
    fn audit(
        &mut self,
        frame: &D::Frame,
        headers: &Headers,
        at: usize,
        reason: Drop,
        now: Instant,
    ) {
        let auditable = matches!(
            reason,
            Drop::UnknownSpi
                | Drop::AuthenticationFailed
                | Drop::Replayed
                | Drop::LeftOfWindow
                // RFC 4301 section 5.2 step 4 makes these auditable too.
                | Drop::SelectorSource
                | Drop::SelectorDestination
        );
        if !auditable || !self.audit_tokens.take(now) {
            return;
        }
        let word = |at: usize| {
            let bytes = self.device.bytes(frame).get(at..at + 4);
            bytes.map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
        };
        // A full channel loses the log line; the counters have the packet.
        let _ = self.port.events.try_send(Event::Audit(Audit {
            reason,
            spi: word(at),
            sequence: word(at + 4),
            source: headers.source.into(),
            destination: headers.destination.into(),
        }));
    }
}

/// DSCP and ECN of a packet: IPv4's TOS, IPv6's traffic class.
#[inline]
fn tos(packet: &[u8], is_ipv4: bool) -> u8 {
    if is_ipv4 {
        packet[1]
    } else {
        packet[0] << 4 | packet[1] >> 4
    }
}

fn reason(error: OpenError) -> Drop {
    match error {
        OpenError::TooShort => Drop::EspTruncated,
        OpenError::OutputTooSmall => Drop::NoFrame,
        OpenError::Expired => Drop::SaExpired,
        OpenError::Replayed => Drop::Replayed,
        OpenError::Old => Drop::LeftOfWindow,
        OpenError::BadIcv => Drop::AuthenticationFailed,
        OpenError::BadPadding => Drop::BadPadding,
        OpenError::NextHeader => Drop::NextHeader,
        OpenError::InnerMalformed => Drop::InnerMalformed,
        OpenError::EcnCeOverNotEct => Drop::EcnBroken,
    }
}
