//! The way in: ESP from a peer becomes plaintext.

use std::mem;
use std::ops::Range;
use std::time::Instant;

use causeway_device::Device;
use causeway_esp::{OpenError, Opened};
use causeway_rescale::message::PORT;
use causeway_steering::headers::{ETHERNET, Ethernet, protocol};
use causeway_steering::{Address, Drop, Headers, Malformed};

use crate::backlog::Origin;
use crate::control::{Audit, Event};
use crate::deliver::Way;
use crate::mss;
use crate::runs::{AHEAD, OpenRun, Opening, ToOpen};
use crate::stages::Stage;
use crate::worker::Worker;

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
    /// those that are to be opened, unless it is known by now that it may not.
    #[inline]
    pub(crate) fn add_to_open(
        &mut self,
        frames: &[D::Frame],
        place: usize,
        l3: usize,
        esp: Range<usize>,
        spi: u32,
        now: Instant,
    ) {
        match self.open_runs.last_mut() {
            Some(run) if run.spi == spi => run.end += 1,
            _ => {
                if let Err(reason) = self.begin_to_open(spi) {
                    return self.refuse(&frames[place], esp.start, reason, now);
                }
            }
        }
        self.opening.push(ToOpen {
            place: place as u32,
            l3: l3 as u16,
            esp: esp.start as u32..esp.end as u32,
            opened: Err(OpenError::OutputTooSmall),
        });
    }

    /// Begins a run of one packet that carries `spi`, or tells why its SA opens nothing.
    #[inline]
    fn begin_to_open(&mut self, spi: u32) -> Result<(), Drop> {
        let sa = self.inbound.place(spi).ok_or(Drop::UnknownSpi)?;
        let tunnel = self.inbound.used(sa);
        if self.lanes[tunnel].fenced {
            return Err(Drop::SaFenced);
        }
        self.open_runs.push(OpenRun {
            spi,
            sa,
            tunnel: tunnel as u32,
            end: self.opening.len() as u32 + 1,
        });
        Ok(())
    }

    /// Opens the packets that are to be opened.
    #[inline]
    pub(crate) fn open(&mut self, frames: &[D::Frame], now: Instant) {
        // Taken out so that `self` can be lent; an empty Vec costs no allocation.
        let (mut packets, mut outs) = (mem::take(&mut self.opening), mem::take(&mut self.outs));
        let mut runs = mem::take(&mut self.open_runs);
        let came = packets.len();
        let ends = runs.iter_mut().map(|run| &mut run.end);
        self.give_frames(&mut outs, &mut packets, ends);
        self.open_all(&mut packets, &mut outs, frames, &runs);
        self.inbound.account(now, &self.port, &mut self.totals.sas);
        self.timer.lap(Stage::Open, came);
        let opened = self.pass_on(&packets, &mut outs, &runs);
        if let Err((n, detour)) = opened {
            self.part(n, detour, &packets, &mut outs, &runs, frames, now);
        }
        packets.clear();
        runs.clear();
        if !outs.is_empty() {
            self.in_use = self.onward.destination();
        }
        self.totals.waiting += outs.len() as u64;
        self.backlog.append(&mut outs, now);
        (self.opening, self.outs, self.open_runs) = (packets, outs, runs);
        self.timer.lap(Stage::Deliver, came);
    }

    /// Makes ready to leave what was opened into `outs`, up to the first that does not go the usual way.
    #[inline(always)]
    fn pass_on(
        &mut self,
        packets: &[ToOpen],
        outs: &mut [D::Frame],
        runs: &[OpenRun],
    ) -> Result<(), (usize, Detour)> {
        let mut first = 0;
        for run in runs {
            let (end, tunnel) = (run.end as usize, run.tunnel as usize);
            let these = packets[first..end].iter().zip(&mut outs[first..end]);
            for ((packet, out), n) in these.zip(first..) {
                if let Err(detour) = self.pass(packet, tunnel, out) {
                    return Err((n, detour));
                }
            }
            first = end;
        }
        Ok(())
    }

    /// Makes a packet that was opened into `out` ready to leave.
    #[inline(always)]
    fn pass(&mut self, packet: &ToOpen, tunnel: usize, out: &mut D::Frame) -> Result<(), Detour> {
        let opened = packet.opened.map_err(reason)?;
        let length = self.inspect(opened, tunnel, out)?;
        self.device.set_len(out, ETHERNET + length);
        self.device.room(out)[..ETHERNET].copy_from_slice(&self.onward.header);
        Ok(())
    }

    /// Goes on with the burst from the n-th packet on, which takes a detour: takes all that do out of `outs`.
    #[cold]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are what a burst is made of"
    )]
    fn part(
        &mut self,
        n: usize,
        detour: Detour,
        packets: &[ToOpen],
        outs: &mut Vec<D::Frame>,
        runs: &[OpenRun],
        frames: &[D::Frame],
        now: Instant,
    ) {
        let mut ready = mem::take(&mut self.ready);
        let mut runs = runs
            .iter()
            .skip_while(|run| run.end as usize <= n)
            .peekable();
        let mut known = Some(detour);
        for ((packet, mut out), n) in packets[n..].iter().zip(outs.drain(n..)).zip(n..) {
            while runs.next_if(|run| run.end as usize <= n).is_some() {}
            let tunnel = runs.peek().map_or(0, |run| run.tunnel as usize);
            let passed = match known.take() {
                Some(detour) => Err(detour),
                None => self.pass(packet, tunnel, &mut out),
            };
            match passed {
                Ok(()) => ready.push(out),
                Err(detour) => self.go(detour, out, packet, frames, tunnel, now),
            }
        }
        outs.append(&mut ready);
        self.ready = ready;
    }

    /// Opens each packet into the frame of the same place among `outs`, run by run, while what the next runs take is on its
    /// way to the cache.
    #[inline(always)]
    fn open_all(
        &mut self,
        packets: &mut [ToOpen],
        outs: &mut [D::Frame],
        frames: &[D::Frame],
        runs: &[OpenRun],
    ) {
        let mut opening = Opening {
            device: &self.device,
            frames,
            outs,
            packets,
        };
        let (mut first, mut fetched) = (0, 0);
        for (place, run) in runs.iter().enumerate() {
            while fetched < runs.len().min(place + AHEAD) {
                self.inbound.at_mut(runs[fetched].sa).fetch();
                fetched += 1;
            }
            let end = run.end as usize;
            let sa = self.inbound.at_mut(run.sa).sa.sa_mut();
            sa.open_burst(first..end, &mut opening);
            first = end;
        }
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
                    hop: self.routes.lookup(destination.into()),
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

    /// Whether what a peer's authentic packet held, now at the start of `out`, may go on: its length, and `onward` is
    /// where to.
    #[inline(always)]
    fn inspect(
        &mut self,
        opened: Opened,
        tunnel: usize,
        out: &mut D::Frame,
    ) -> Result<usize, Detour> {
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
    ) -> Result<usize, Detour> {
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
    ) -> Result<usize, Detour> {
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
        match self.go_on(destination) {
            Ok(()) => Ok(length),
            Err(hop) => {
                self.admit(hop, 1)?;
                Err(Detour::Host(length, destination))
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
