//! The way out: plaintext for a peer becomes ESP.

use std::mem;
use std::net::IpAddr;
use std::time::Instant;

use causeway_device::Device;
use causeway_esp::{SealError, TAIL_ROOM, seal_burst};
use causeway_routes::Lookup;
use causeway_steering::headers::{ETHERNET, IPV4};
use causeway_steering::{Drop, Headers, Malformed};

use crate::backlog::Origin;
use crate::checksum::update;
use crate::deliver::{Way, ethernet};
use crate::fragment::Fragments;
use crate::icmp;
use crate::mss;
use crate::runs::{SealRun, Sealing, ToSeal};
use crate::stages::Stage;
use crate::worker::Worker;

/// Where TTL and header checksum stand in an IPv4 header.
const TTL: usize = 8;
const CHECKSUM: usize = 10;
/// Where the hop limit stands in an IPv6 header.
const HOP_LIMIT: usize = 7;

/// Octets that sealing writes behind a piece that another one follows: TFC padding, since all but the
/// last are up to 7 octets shorter than what the tunnel carries, and the trailer.
const BEHIND: usize = 7 + TAIL_ROOM;

impl<D: Device> Worker<D> {
    /// Adds the packet at `place` of the burst to those that go into `tunnel`, as they are to go,
    /// or tells its sender why it may not.
    #[inline(always)]
    pub(crate) fn add_to_seal(
        &mut self,
        frames: &mut [D::Frame],
        place: usize,
        headers: Headers,
        tunnel: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        if self.own_prefixes.lookup(headers.source).is_none() {
            return Err(Drop::SelectorSource);
        }
        let ttl = if headers.is_ipv4() { TTL } else { HOP_LIMIT };
        if self.device.bytes(&frames[place])[headers.l3 + ttl] <= 1 {
            self.answer(frames, place, headers.l3, icmp::Error::TimeExceeded, now);
            return Err(Drop::TtlExceeded);
        }
        let lane = &self.lanes[tunnel];
        let (max, hop) = (lane.max_inner, lane.hop);
        let fits = headers.total <= max;
        // Every IPv6 packet is one that nobody but its sender fragments: RFC 8200 section 5.
        if !fits && headers.dont_fragment {
            let error = icmp::Error::TooBig { mtu: max };
            self.answer(frames, place, headers.l3, error, now);
            return Err(Drop::TooBig);
        }
        if !fits && headers.l4 - headers.l3 != IPV4 {
            return Err(Drop::TooBigOptions);
        }

        // From here on the received frame is changed where it lies.
        let room = self.device.room(&mut frames[place]);
        if headers.is_ipv4() {
            decrement_ttl(&mut room[headers.l3..]);
        } else {
            room[headers.l3 + HOP_LIMIT] -= 1;
        }
        if lane.clamp_mss {
            mss::clamp(room, &headers, max);
        }
        if !fits {
            return self.seal_in_pieces(frames, place, headers.l3, tunnel, now);
        }
        if !matches!(hop, Lookup::Ready(_)) {
            self.admit_another(hop)?;
        }
        let tunnel = tunnel as u32;
        self.sealing.push(ToSeal {
            place: place as u32,
            tunnel,
            l3: headers.l3 as u16,
            length: headers.total as u16,
            sealed: Err(SealError::OutputTooSmall),
        });
        let end = self.sealing.len() as u32;
        match self.seal_runs.last_mut() {
            Some(run) if run.tunnel == tunnel => run.end = end,
            _ => {
                self.seal_runs.push(SealRun { tunnel, end });
                self.used(tunnel as usize);
            }
        }
        Ok(())
    }

    /// [`Worker::admit`] for a packet behind those that are to be sealed already.
    #[cold]
    fn admit_another(&self, hop: Lookup) -> Result<(), Drop> {
        let same = |packet: &&ToSeal| self.lanes[packet.tunnel as usize].hop == hop;
        self.admit(hop, self.sealing.iter().filter(same).count() + 1)
    }

    /// Seals the packets that are to be sealed.
    #[inline]
    pub(crate) fn seal(&mut self, frames: &mut [D::Frame], now: Instant) {
        // Taken out so that `self` can be lent; an empty Vec costs no allocation.
        let (mut packets, mut outs) = (mem::take(&mut self.sealing), mem::take(&mut self.outs));
        let mut runs = mem::take(&mut self.seal_runs);
        let came = packets.len();
        let ends = runs.iter_mut().map(|run| &mut run.end);
        self.give_frames(&mut outs, &mut packets, ends);
        self.seal_all(&mut packets, &mut outs, frames, &runs);
        self.timer.lap(Stage::Seal, came);
        if packets.iter().any(|packet| packet.sealed.is_err()) {
            self.drop_refused(&mut packets, &mut outs, &mut runs);
        }
        self.totals.sealed.packets += packets.len() as u64;
        let lengths = packets.iter().map(|packet| u64::from(packet.length));
        self.totals.sealed.bytes += lengths.sum::<u64>();
        let (mut first, mut all_ready) = (0, true);
        for run in &runs {
            let end = run.end as usize;
            let lane = &self.lanes[run.tunnel as usize];
            // It is published at the end of the round.
            lane.outbound.fetch_meter();
            let Lookup::Ready(mac) = lane.hop else {
                (first, all_ready) = (end, false);
                continue;
            };
            let header = ethernet(self.mac, mac, lane.peer.is_ipv6());
            for (packet, out) in packets[first..end].iter().zip(&mut outs[first..end]) {
                let length = packet.sealed.unwrap_or_default();
                self.device.set_len(out, ETHERNET + usize::from(length));
                self.device.room(out)[..ETHERNET].copy_from_slice(&header);
            }
            self.in_use = Some(lane.peer);
            first = end;
        }
        if !all_ready {
            self.let_wait(&packets, &mut outs, now);
        }
        self.totals.waiting += outs.len() as u64;
        self.backlog.append(&mut outs, now);
        packets.clear();
        runs.clear();
        (self.sealing, self.outs, self.seal_runs) = (packets, outs, runs);
        self.timer.lap(Stage::Deliver, came);
    }

    /// Seals each packet into the frame of the same place among `outs`.
    #[inline(always)]
    fn seal_all(
        &mut self,
        packets: &mut [ToSeal],
        outs: &mut [D::Frame],
        frames: &mut [D::Frame],
        runs: &[SealRun],
    ) {
        let [run] = runs else {
            return self.seal_mixed(packets, outs, frames);
        };
        let mut sealing = Sealing::<_, false> {
            device: &self.device,
            frames,
            outs,
            packets,
        };
        let outbound = &mut self.lanes[run.tunnel as usize].outbound;
        outbound.sa().fetch();
        let sa = outbound.sa_mut();
        sa.seal_burst(sealing.packets.len(), &mut sealing);
    }

    /// Where the packets go into several tunnels: compiled for itself, so that one alone costs no look at whose each is.
    #[inline(never)]
    fn seal_mixed(
        &mut self,
        packets: &mut [ToSeal],
        outs: &mut [D::Frame],
        frames: &mut [D::Frame],
    ) {
        let mut sealing = Sealing::<_, true> {
            device: &self.device,
            frames,
            outs,
            packets,
        };
        seal_burst(&mut self.lanes, sealing.packets.len(), &mut sealing);
    }

    /// Drops those packets that their SA has refused.
    #[cold]
    fn drop_refused(
        &mut self,
        packets: &mut Vec<ToSeal>,
        outs: &mut Vec<D::Frame>,
        runs: &mut [SealRun],
    ) {
        for n in (0..packets.len()).rev() {
            if let Err(error) = packets[n].sealed {
                packets.remove(n);
                self.device.release(outs.remove(n));
                let behind = runs.iter_mut().filter(|run| run.end as usize > n);
                behind.for_each(|run| run.end -= 1);
                self.totals.drops[reason(error)] += 1;
            }
        }
    }

    /// Takes those sealed packets out whose next hop's MAC address is not known, and lets them wait for it.
    #[cold]
    fn let_wait(&mut self, packets: &[ToSeal], outs: &mut Vec<D::Frame>, now: Instant) {
        let mut ready = mem::take(&mut self.ready);
        for (packet, out) in packets.iter().zip(outs.drain(..)) {
            let lane = &self.lanes[packet.tunnel as usize];
            let way = Way::own(lane.peer, lane.hop);
            if let Lookup::Ready(_) = way.hop {
                ready.push(out);
            } else {
                let length = packet.sealed.unwrap_or_default();
                self.deliver(out, length.into(), Origin::Received(now), way, now);
            }
        }
        self.ready = mem::replace(outs, ready);
    }

    /// Seals a packet that the tunnel does not carry whole, behind all those of the burst before it.
    // It reads the headers again, so that a packet on the usual way has them in no place but registers.
    #[cold]
    #[inline(never)]
    fn seal_in_pieces(
        &mut self,
        frames: &mut [D::Frame],
        place: usize,
        l3: usize,
        tunnel: usize,
        now: Instant,
    ) -> Result<(), Drop> {
        self.flush(frames, now);
        let bytes = self.device.bytes(&frames[place]);
        let headers = &Headers::parse(bytes, l3).map_err(|Malformed| Drop::Ipv4Malformed)?;
        let lane = &self.lanes[tunnel];
        let (max, hop, peer) = (lane.max_inner, lane.hop, lane.peer);
        let frame = &mut frames[place];
        let packet = &self.device.bytes(frame)[headers.l3..headers.l3 + headers.total];
        let cut = Fragments::new(packet, max).ok_or(Drop::Ipv4Malformed)?;
        self.admit(hop, cut.count())?;
        self.used(tunnel);
        self.timer.lap(Stage::Forward, 0);
        if let Err(reason) = self.seal_pieces(frame, headers, &cut, tunnel) {
            for (piece, _) in self.pieces.drain(..) {
                self.device.release(piece);
            }
            return Err(reason);
        }
        self.timer.lap(Stage::Seal, 1);
        self.totals.sealed.add(headers.total);
        // Taken out as above.
        let mut pieces = std::mem::take(&mut self.pieces);
        let last = pieces.len() - 1;
        for (index, (piece, length)) in pieces.drain(..).enumerate() {
            let origin = if index == last {
                Origin::Received(now)
            } else {
                Origin::Worker
            };
            self.deliver(piece, length, origin, Way::own(peer, hop), now);
        }
        self.pieces = pieces;
        self.timer.lap(Stage::Deliver, 1);
        Ok(())
    }

    /// Seals every fragment of the packet, or fails at the first that cannot be.
    fn seal_pieces(
        &mut self,
        frame: &mut D::Frame,
        headers: &Headers,
        cut: &Fragments,
        tunnel: usize,
    ) -> Result<(), Drop> {
        for index in 0..cut.count() {
            let packet = &mut self.device.room(frame)[headers.l3..];
            let mut piece = cut.piece(packet, index);
            if index + 1 == cut.count() {
                // Behind the last piece the frame may end before its TFC padding does. The front
                // has been sealed by now.
                packet.copy_within(piece.clone(), 0);
                piece = 0..piece.len();
            }
            // Sealing writes behind the piece, where the next one's payload lies.
            let tail = piece.end..packet.len().min(piece.end + BEHIND);
            let mut saved = [0; BEHIND];
            let saved = &mut saved[..tail.len()];
            saved.copy_from_slice(&packet[tail.clone()]);
            self.seal_piece(frame, headers.l3 + piece.start, piece.len(), tunnel)?;
            self.device.room(frame)[headers.l3..][tail].copy_from_slice(saved);
        }
        Ok(())
    }

    /// Seals the IP packet of `length` octets that stands `at` so many octets in `frame`, into a
    /// frame of its own at the end of `pieces`.
    fn seal_piece(
        &mut self,
        frame: &mut D::Frame,
        at: usize,
        length: usize,
        tunnel: usize,
    ) -> Result<(), Drop> {
        let mut out = self.device.allocate().ok_or(Drop::NoFrame)?;
        let sealed = self.lanes[tunnel].outbound.sa_mut().seal(
            &mut self.device.room(frame)[at..],
            length,
            &mut self.device.room(&mut out)[ETHERNET..],
        );
        match sealed {
            Ok(length) => {
                self.pieces.push((out, length));
                Ok(())
            }
            Err(error) => {
                self.device.release(out);
                Err(reason(error))
            }
        }
    }

    /// Tells the sender of the packet at `place` of the burst what is wrong with it, if that is
    /// allowed and there is a way. What came before it goes before.
    #[cold]
    #[inline(never)]
    fn answer(
        &mut self,
        frames: &mut [D::Frame],
        place: usize,
        l3: usize,
        error: icmp::Error,
        now: Instant,
    ) {
        self.flush(frames, now);
        let frame = &frames[place];
        let Ok(headers) = &Headers::parse(self.device.bytes(frame), l3) else {
            return;
        };
        let destination = IpAddr::from(headers.source);
        let hop = self.routes.lookup(destination);
        let possible = icmp::allowed(error, self.device.bytes(frame), headers)
            && self.admit(hop, 1).is_ok()
            && self.icmp_tokens.take(now);
        if !possible {
            return;
        }
        let Some(mut out) = self.device.allocate() else {
            return;
        };
        let packet = &self.device.bytes(frame)[headers.l3..headers.l3 + headers.total];
        let room = &mut self.device.room(&mut out)[ETHERNET..];
        match icmp::write(error, &self.icmp_sources, packet, room) {
            Some(length) => {
                self.deliver(out, length, Origin::Worker, Way::own(destination, hop), now)
            }
            None => self.device.release(out),
        }
    }
}

/// Takes one from the TTL of the IPv4 packet, which is at least 2: RFC 1812 section 5.3.1. The far end
/// takes none, where RFC 4301 section 5.1.2.1, note 2, has every router take its own: the two
/// gateways of a tunnel count as one hop.
fn decrement_ttl(packet: &mut [u8]) {
    let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let (old, sum) = (word(TTL), word(CHECKSUM));
    let new = old - 0x0100;
    packet[TTL..TTL + 2].copy_from_slice(&new.to_be_bytes());
    packet[CHECKSUM..CHECKSUM + 2].copy_from_slice(&update(sum, old, new).to_be_bytes());
}

pub(crate) fn reason(error: SealError) -> Drop {
    match error {
        SealError::NotIp => Drop::InnerMalformed,
        SealError::NotReserved => Drop::SequenceNotReserved,
        SealError::Exhausted => Drop::SequenceExhausted,
        SealError::Expired => Drop::SaExpired,
        SealError::TooBig | SealError::NoTailRoom | SealError::OutputTooSmall => Drop::NoFrame,
    }
}
