//! Deliver: checks opened packets against the selectors, and gives every finished packet its next hop and Ethernet header.

use std::time::Instant;

use causeway_device::Device;
use causeway_esp::Opened;
use causeway_rescale::message::PORT;
use causeway_routes::Lookup;
use causeway_steering::headers::{ETHERNET, protocol};
use causeway_steering::{DropReason, Headers, Malformed};

use crate::audit::refuse;
use crate::burst::{Burst, ToOpen};
use crate::control::WorkerChannels;
use crate::egress::Egress;
use crate::ethernet;
use crate::io::Io;
use crate::mss;
use crate::next_hop::Route;
use crate::ordered::{OpenedPacket, OrderedQueue};
use crate::transmit::Origin;
use crate::tunnel::{Demuxes, TunnelState, Tunnels};
use crate::{open, seal};

/// Delivers the sealed packets of the burst.
#[inline]
pub(crate) fn deliver_sealed<D: Device>(
    burst: &mut Burst<D::Frame>,
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    io: &mut Io<D>,
) {
    if burst
        .queues
        .to_seal
        .iter()
        .any(|packet| packet.sealed.is_err())
    {
        drop_refused(burst, io);
    }
    let (packets, outputs) = (&burst.queues.to_seal[..], &mut burst.outputs[..]);
    io.totals.sealed.packets += packets.len() as u64;
    let lengths = packets.iter().map(|packet| u64::from(packet.length));
    io.totals.sealed.bytes += lengths.sum::<u64>();
    let (mut first, mut all_ready) = (0, true);
    for run in &burst.queues.seal_runs {
        let end = run.end as usize;
        let state = &tunnels.states[run.tunnel as usize];
        // The meter is published at the end of the round.
        state.outbound.fetch_meter();
        let Lookup::Ready(mac) = state.hop else {
            (first, all_ready) = (end, false);
            continue;
        };
        let header = ethernet::header(egress.mac, mac, state.peer.is_ipv6());
        for (packet, output) in packets[first..end].iter().zip(&mut outputs[first..end]) {
            let length = packet.sealed.unwrap_or_default();
            io.device.set_len(output, ETHERNET + usize::from(length));
            ethernet::write(io.device.room(output), &header);
        }
        egress.in_use = Some(state.peer);
        first = end;
    }
    if !all_ready {
        queue_unresolved(burst, tunnels, egress, io);
    }
    io.totals.waiting += burst.outputs.len() as u64;
    egress.backlog.append(&mut burst.outputs, burst.now);
    burst.queues.to_seal.clear();
    burst.queues.seal_runs.clear();
}

/// Drops the packets that their SA has refused.
#[cold]
fn drop_refused<D: Device>(burst: &mut Burst<D::Frame>, io: &mut Io<D>) {
    for n in (0..burst.queues.to_seal.len()).rev() {
        if let Err(error) = burst.queues.to_seal[n].sealed {
            burst.queues.to_seal.remove(n);
            io.device.release(burst.outputs.remove(n));
            let behind = burst.queues.seal_runs.iter_mut();
            let behind = behind.filter(|run| run.end as usize > n);
            behind.for_each(|run| run.end -= 1);
            io.totals.drops[seal::drop_reason(error)] += 1;
        }
    }
}

/// Takes the sealed packets without a known MAC address out of the outputs, and queues them for it.
#[cold]
fn queue_unresolved<D: Device>(
    burst: &mut Burst<D::Frame>,
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    io: &mut Io<D>,
) {
    let now = burst.now;
    for (packet, output) in burst.queues.to_seal.iter().zip(burst.outputs.drain(..)) {
        let state = &tunnels.states[packet.tunnel as usize];
        let route = Route::own(state.peer, state.hop);
        if let Lookup::Ready(_) = route.hop {
            burst.ready.push(output);
        } else {
            let length = packet.sealed.unwrap_or_default().into();
            let origin = Origin::Received(now);
            egress.enqueue(output, length, origin, route, now, io);
        }
    }
    burst.outputs.append(&mut burst.ready);
}

/// Delivers the sealed fragments of one packet.
#[cold]
pub(crate) fn deliver_pieces<D: Device>(
    burst: &mut Burst<D::Frame>,
    tunnel: usize,
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    io: &mut Io<D>,
) {
    let state = &tunnels.states[tunnel];
    let route = Route::own(state.peer, state.hop);
    let (now, last) = (burst.now, burst.pieces.len() - 1);
    for (index, (piece, length)) in burst.pieces.drain(..).enumerate() {
        let origin = if index == last {
            Origin::Received(now)
        } else {
            Origin::Worker
        };
        egress.enqueue(piece, length, origin, route, now, io);
    }
}

/// Why an opened packet does not leave with its burst.
#[derive(Clone, Copy)]
enum Exception {
    /// The MAC address of its next hop is not known.
    Unresolved,
    /// It is a message between demuxes, which keeps its place behind earlier packets.
    PeerMessage,
    Drop(DropReason),
}

impl From<DropReason> for Exception {
    #[inline(always)]
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

/// Delivers the opened packets of the burst.
#[inline]
pub(crate) fn deliver_opened<D: Device>(
    burst: &mut Burst<D::Frame>,
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    ordered: &mut OrderedQueue<D::Frame>,
    io: &mut Io<D>,
    channels: &mut WorkerChannels,
) {
    if let Err(first) = finish_burst(burst, tunnels, egress, io) {
        finish_rest(burst, first, tunnels, egress, ordered, io, channels);
    }
    burst.queues.to_open.clear();
    burst.queues.open_runs.clear();
    if !burst.outputs.is_empty() {
        egress.in_use = egress.next_hop.destination();
    }
    io.totals.waiting += burst.outputs.len() as u64;
    egress.backlog.append(&mut burst.outputs, burst.now);
}

/// Finishes the opened packets up to the first exception, and returns that one with its index.
#[inline(always)]
fn finish_burst<D: Device>(
    burst: &mut Burst<D::Frame>,
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    io: &mut Io<D>,
) -> Result<(), (usize, Exception)> {
    let (packets, outputs) = (&burst.queues.to_open[..], &mut burst.outputs[..]);
    let mut first = 0;
    for run in &burst.queues.open_runs {
        let (end, tunnel) = (run.end as usize, run.tunnel as usize);
        let packets = packets[first..end].iter().zip(&mut outputs[first..end]);
        for ((packet, output), n) in packets.zip(first..) {
            if let Err(exception) = finish_packet(packet, tunnel, output, tunnels, egress, io) {
                return Err((n, exception));
            }
        }
        first = end;
    }
    Ok(())
}

/// Finishes the rest of the burst after the first exception, and takes all exceptions out of the outputs.
#[cold]
fn finish_rest<D: Device>(
    burst: &mut Burst<D::Frame>,
    (first, exception): (usize, Exception),
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    ordered: &mut OrderedQueue<D::Frame>,
    io: &mut Io<D>,
    channels: &mut WorkerChannels,
) {
    let now = burst.now;
    let runs = burst.queues.open_runs.iter();
    let mut runs = runs.skip_while(|run| run.end as usize <= first).peekable();
    let mut known = Some(exception);
    let packets = burst.queues.to_open[first..].iter();
    for ((packet, mut output), n) in packets.zip(burst.outputs.drain(first..)).zip(first..) {
        while runs.next_if(|run| run.end as usize <= n).is_some() {}
        let tunnel = runs.peek().map_or(0, |run| run.tunnel as usize);
        let finished = match known.take() {
            Some(exception) => Err(exception),
            None => finish_packet(packet, tunnel, &mut output, tunnels, egress, io),
        };
        match finished {
            Ok(()) => burst.ready.push(output),
            Err(Exception::Drop(reason)) => {
                io.device.release(output);
                let frame = io.device.bytes(&burst.received[packet.index as usize]);
                let esp = packet.esp.start as usize;
                refuse(frame, esp, reason, now, &mut io.totals, channels);
            }
            Err(exception) => {
                let packet = OpenedPacket {
                    length: packet.opened.map_or(0, inner_length),
                    frame: output,
                    tunnel,
                };
                reroute(exception, packet, now, egress, ordered, io);
            }
        }
    }
    burst.outputs.append(&mut burst.ready);
}

/// Writes length and Ethernet header of an opened packet, if it may leave with its burst.
#[inline(always)]
fn finish_packet<D: Device>(
    packet: &ToOpen,
    tunnel: usize,
    output: &mut D::Frame,
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    io: &mut Io<D>,
) -> Result<(), Exception> {
    let length = match packet.opened.map_err(open::drop_reason)? {
        Opened::Packet { len } => len,
        Opened::Dummy => return Err(DropReason::Dummy.into()),
    };
    io.totals.opened.add(length);
    let inner = &io.device.room(output)[ETHERNET..][..length];
    // IPv4 without options is compiled on its own, as in `classify`.
    if inner.first() == Some(&0x45) {
        let headers = Headers::ipv4(inner, 0).map_err(|Malformed| DropReason::InnerMalformed)?;
        admit(headers, length, tunnel, output, tunnels, egress, &io.device)?;
    } else {
        admit_slow_path(length, tunnel, output, tunnels, egress, &io.device)?;
    }
    io.device.set_len(output, ETHERNET + length);
    ethernet::write(io.device.room(output), &egress.next_hop.header);
    Ok(())
}

#[inline(never)]
fn admit_slow_path<D: Device>(
    length: usize,
    tunnel: usize,
    output: &mut D::Frame,
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    device: &D,
) -> Result<(), Exception> {
    let inner = &device.room(output)[ETHERNET..][..length];
    let headers = Headers::parse(inner, 0).map_err(|Malformed| DropReason::InnerMalformed)?;
    admit(headers, length, tunnel, output, tunnels, egress, device)
}

/// Checks an inner packet against the selectors and looks up its next hop, which [`Egress::next_hop`] keeps.
#[inline(always)]
fn admit<D: Device>(
    headers: Headers,
    length: usize,
    tunnel: usize,
    output: &mut D::Frame,
    tunnels: &Tunnels,
    egress: &mut Egress<D::Frame>,
    device: &D,
) -> Result<(), Exception> {
    // The longest prefix decides, so that a peer cannot send from a more specific prefix of another peer.
    if tunnels.peer_prefixes.lookup(headers.source) != Some(tunnel) {
        return Err(DropReason::SelectorSource.into());
    }
    if tunnels.own_prefixes.lookup(headers.destination).is_none() {
        return Err(DropReason::SelectorDestination.into());
    }
    let inner = &mut device.room(output)[ETHERNET..][..length];
    let state = &tunnels.states[tunnel];
    if state.clamp_mss {
        mss::clamp(inner, &headers, state.max_inner);
    }
    if is_peer_message(inner, &headers, state) {
        return Err(Exception::PeerMessage);
    }
    match egress.lookup(headers.destination) {
        Ok(()) => Ok(()),
        Err(hop) => {
            egress.waiting.admit(hop, 1)?;
            Err(Exception::Unresolved)
        }
    }
}

/// Whether the packet has the ends of a message from the peer's demux to this one: ports and addresses. Any other packet to
/// the same port is an application's.
#[inline]
fn is_peer_message(packet: &[u8], headers: &Headers, state: &TunnelState) -> bool {
    const PORTS: [u8; 4] = {
        let [high, low] = PORT.to_be_bytes();
        [high, low, high, low]
    };
    headers.protocol == protocol::UDP
        && !headers.fragment
        && packet.get(headers.l4..headers.l4 + 4) == Some(&PORTS)
        && state.demuxes
            == Some(Demuxes {
                own: headers.destination,
                peer: headers.source,
            })
}

fn inner_length(opened: Opened) -> usize {
    match opened {
        Opened::Packet { len } => len,
        Opened::Dummy => 0,
    }
}

/// Delivers an opened packet that does not leave with its burst.
#[cold]
#[inline(never)]
fn reroute<D: Device>(
    exception: Exception,
    mut packet: OpenedPacket<D::Frame>,
    now: Instant,
    egress: &mut Egress<D::Frame>,
    ordered: &mut OrderedQueue<D::Frame>,
    io: &mut Io<D>,
) {
    // Parsed again, so that the fast path keeps no headers for it.
    let inner = &io.device.room(&mut packet.frame)[ETHERNET..][..packet.length];
    let Ok(Headers { destination, .. }) = Headers::parse(inner, 0) else {
        io.device.release(packet.frame);
        io.totals.drops[DropReason::InnerMalformed] += 1;
        return;
    };
    if let Exception::PeerMessage = exception {
        return ordered.enqueue_after(&egress.waiting, packet, destination, now, io);
    }
    let destination = destination.into();
    let route = Route {
        destination,
        hop: egress.routes.lookup(destination),
        opened_from: Some(packet.tunnel),
    };
    let origin = Origin::Received(now);
    egress.enqueue(packet.frame, packet.length, origin, route, now, io);
}
