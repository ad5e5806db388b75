//! The way in: ESP from a peer becomes plaintext.

use std::mem;
use std::ops::Range;
use std::time::Instant;

use causeway_device::Device;
use causeway_esp::{OpenError, Opened};
use causeway_rescale::message::PORT;
use causeway_routes::Lookup;
use causeway_steering::headers::{ETHERNET, Ethernet, protocol};
use causeway_steering::{Address, Drop, Headers, Malformed};

use crate::backlog::Origin;
use crate::control::{Audit, Event};
use crate::deliver::{Way, ethernet};
use crate::mss;
use crate::runs::{Opening, ToOpen};
use crate::stages::Stage;
use crate::worker::Worker;

/// An inner packet that goes to a host whose next hop is known. It tells no MAC address: that would travel through memory,
/// written and read in different pieces.
struct Onward {
    length: usize,
    destination: Address,
}

/// Where else a packet goes.
enum Detour {
    /// To a host whose next hop is not known, and the packet's length.
    Host(usize, Address),
    /// To a demux, from the peer's.
    Demux(usize, Address),
    /// Nowhere.
    Dropped(Drop),
}

impl From<Drop> for Detour {
    fn from(reason: Drop) -> Self {
        Self::Dropped(reason)
    }
}

impl<D: Device> Worker<D> {
    /// Adds the ESP at the octets `esp` of the frame at `place` of the burst, in the packet at `l3`, to
    /// that of its SPI.
    #[inline]
    pub(crate) fn add_to_open(&mut self, place: usize, l3: usize, esp: Range<usize>) {
        self.opening.push(ToOpen {
            place: place as u32,
            l3: l3 as u16,
            esp: esp.start as u32..esp.end as u32,
            opened: Err(OpenError::OutputTooSmall),
        });
    }

    /// Opens the packets of the run.
    #[inline]
    pub(crate) fn open(&mut self, frames: &[D::Frame], spi: u32, now: Instant) {
        // Taken out so that `self` can be lent; an empty Vec costs no allocation.
        let (mut run, mut outs) = (mem::take(&mut self.opening), mem::take(&mut self.outs));
        let count = run.len();
        match self.open_run(&mut run, &mut outs, frames, spi, now) {
            Ok(tunnel) => {
                self.timer.lap(Stage::Open, count);
                self.totals.drops[Drop::NoFrame] += (count - outs.len()) as u64;
                let mut ready = mem::take(&mut self.ready);
                // The destination of the last of them, and the Ethernet header of what goes there.
                let (mut last, mut header) = (None, [0; ETHERNET]);
                for (packet, mut out) in run.drain(..).zip(outs.drain(..)) {
                    let opened = packet.opened.map_err(|error| reason(error).into());
                    match opened.and_then(|opened| self.inspect(opened, tunnel, &mut out)) {
                        Ok(Onward {
                            length,
                            destination,
                        }) => {
                            if last != Some(destination)
                                && let Lookup::Ready(mac) = self.next_hop(destination)
                            {
                                header = ethernet(self.mac, mac, !destination.is_ipv4());
                                last = Some(destination);
                            }
                            self.device.set_len(&mut out, ETHERNET + length);
                            self.device.room(&mut out)[..ETHERNET].copy_from_slice(&header);
                            ready.push(out);
                        }
                        Err(detour) => self.go(detour, out, &packet, frames, tunnel, now),
                    }
                }
                if let Some(destination) = last {
                    self.in_use = Some(destination.into());
                }
                self.totals.waiting += ready.len() as u64;
                self.backlog.append(&mut ready, now);
                self.ready = ready;
            }
            Err(reason) => {
                self.timer.lap(Stage::Open, count);
                for packet in run.drain(..) {
                    let frame = &frames[packet.place as usize];
                    self.refuse(frame, packet.esp.start as usize, reason, now);
                }
            }
        }
        (self.opening, self.outs) = (run, outs);
        self.timer.lap(Stage::Deliver, count);
    }

    /// Lets a packet that was opened into `out` go another way than the usual.
    #[cold]
    #[inline(never)]
    fn go(
        &mut self,
        detour: Detour,
        out: D::Frame,
        packet: &ToOpen,
        frames: &[D::Frame],
        tunnel: usize,
        now: Instant,
    ) {
        match detour {
            Detour::Host(length, destination) => {
                let way = Way {
                    destination: destination.into(),
                    hop: self.next_hop(destination),
                    opened: Some(tunnel),
                };
                self.deliver(out, length, Origin::Received(now), way, now);
            }
            Detour::Demux(length, destination) => {
                self.follow(out, length, destination, tunnel, now);
            }
            Detour::Dropped(reason) => {
                self.device.release(out);
                let frame = &frames[packet.place as usize];
                self.refuse(frame, packet.esp.start as usize, reason, now);
            }
        }
    }

    /// Opens them by the SA of their SPI into `outs`, as far as there are frames, and tells whose it is, or why they are
    /// not opened.
    #[inline]
    fn open_run(
        &mut self,
        run: &mut [ToOpen],
        outs: &mut Vec<D::Frame>,
        frames: &[D::Frame],
        spi: u32,
        now: Instant,
    ) -> Result<usize, Drop> {
        let receiver = self.inbound.get_mut(spi).ok_or(Drop::UnknownSpi)?;
        if self.lanes[receiver.tunnel].fenced {
            return Err(Drop::SaFenced);
        }
        self.device.allocate_burst(outs, run.len());
        let count = outs.len();
        let mut opening = Opening {
            device: &self.device,
            frames,
            outs,
            run,
        };
        receiver.sa.sa.open_burst(count, &mut opening);
        receiver.sa.publish();
        receiver.review(now, &self.port, &mut self.totals.sas);
        Ok(receiver.tunnel)
    }

    /// Whether what a peer's authentic packet held, now at the start of `out`, may go on.
    #[inline(always)]
    fn inspect(
        &mut self,
        opened: Opened,
        tunnel: usize,
        out: &mut D::Frame,
    ) -> Result<Onward, Detour> {
        let length = match opened {
            Opened::Packet { len } => len,
            Opened::Dummy => return Err(Drop::Dummy.into()),
        };
        self.totals.opened.add(length);

        let inner = &self.device.room(out)[ETHERNET..][..length];
        // IPv4 without options is compiled for itself, as where a burst is received.
        if inner.first() == Some(&0x45) {
            let headers = Headers::ipv4(inner, 0).map_err(|Malformed| Drop::InnerMalformed)?;
            self.admit_inner(headers, length, tunnel, out)
        } else {
            self.inspect_unusual(length, tunnel, out)
        }
    }

    #[inline(never)]
    fn inspect_unusual(
        &mut self,
        length: usize,
        tunnel: usize,
        out: &mut D::Frame,
    ) -> Result<Onward, Detour> {
        let inner = &self.device.room(out)[ETHERNET..][..length];
        let headers = Headers::parse(inner, 0).map_err(|Malformed| Drop::InnerMalformed)?;
        self.admit_inner(headers, length, tunnel, out)
    }

    /// Whether the inner packet under `headers` may go on.
    #[inline(always)]
    fn admit_inner(
        &mut self,
        headers: Headers,
        length: usize,
        tunnel: usize,
        out: &mut D::Frame,
    ) -> Result<Onward, Detour> {
        // The longest prefix, so that a peer cannot speak for a more specific one of another.
        if self.peer_prefixes.lookup(headers.source) != Some(tunnel) {
            return Err(Drop::SelectorSource.into());
        }
        if self.own_prefixes.lookup(headers.destination).is_none() {
            return Err(Drop::SelectorDestination.into());
        }
        let inner = &mut self.device.room(out)[ETHERNET..][..length];
        let lane = &self.lanes[tunnel];
        if lane.clamp_mss {
            mss::clamp(inner, &headers, lane.max_inner);
        }
        let destination = headers.destination;
        if is_word(inner, &headers) {
            return Err(Detour::Demux(length, destination));
        }
        let hop = self.next_hop(destination);
        if let Lookup::Ready(_) = hop {
            return Ok(Onward {
                length,
                destination,
            });
        }
        self.admit(hop, 1)?;
        Err(Detour::Host(length, destination))
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

    /// Drops a packet by name. Tells control if that is auditable, at a limited rate.
    #[cold]
    fn refuse(&mut self, frame: &D::Frame, at: usize, reason: Drop, now: Instant) {
        self.totals.drops[reason] += 1;
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
        let bytes = self.device.bytes(frame);
        // Read again here, so that a packet that is in order carries no header along.
        let l3 = Ethernet::parse(bytes).map(|ethernet| ethernet.l3);
        let Some(Ok(headers)) = l3.map(|l3| Headers::parse(bytes, l3)) else {
            return;
        };
        let word = |at: usize| {
            let bytes = bytes.get(at..at + 4);
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

/// Whether a demux said this to another.
#[inline]
fn is_word(packet: &[u8], headers: &Headers) -> bool {
    headers.protocol == protocol::UDP
        && !headers.fragment
        && packet.get(headers.l4 + 2..headers.l4 + 4) == Some(&PORT.to_be_bytes())
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
