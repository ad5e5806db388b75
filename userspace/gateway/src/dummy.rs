//! Dummy packets (RFC 4303 section 2.6): an idle tunnel sends them, so that an observer cannot detect when it is idle.

use std::time::{Duration, Instant};

use causeway_device::Device;
use causeway_esp::TAIL_ROOM;
use causeway_steering::headers::ETHERNET;

use crate::egress::Egress;
use crate::io::Io;
use crate::next_hop::Route;
use crate::transmit::Origin;
use crate::tunnel::Tunnels;

/// The payload of a dummy in octets, that of a small packet. TFC pads it.
const PAYLOAD: usize = 64;

/// The timer of one tunnel's dummies.
#[derive(Debug)]
struct Timer {
    tunnel: usize,
    interval: Duration,
    /// Packets that the tunnel had sent at the last check.
    sent: u64,
    /// The beginning of the idle time.
    idle_since: Option<Instant>,
}

impl Timer {
    /// Whether the tunnel, which has sent `sent` packets including dummies, was idle for the interval.
    fn due(&mut self, sent: u64, now: Instant) -> bool {
        let idle_since = match self.idle_since {
            Some(since) if sent == self.sent => since,
            _ => now,
        };
        let due = now.saturating_duration_since(idle_since) >= self.interval;
        self.sent = if due { sent + 1 } else { sent };
        self.idle_since = Some(if due { now } else { idle_since });
        due
    }
}

/// The dummies of all tunnels that send any.
pub(crate) struct Dummies {
    timers: Vec<Timer>,
    /// The inner packet, with room for the trailer.
    packet: Vec<u8>,
}

impl Dummies {
    /// `intervals` has the tunnels that send dummies, with their idle times.
    pub(crate) fn new(intervals: impl Iterator<Item = (usize, Duration)>, mtu: usize) -> Self {
        let timers = intervals.map(|(tunnel, interval)| Timer {
            tunnel,
            interval,
            sent: 0,
            idle_since: None,
        });
        Self {
            timers: timers.collect(),
            packet: Vec::with_capacity(mtu + TAIL_ROOM),
        }
    }

    /// Sends no more dummies.
    pub(crate) fn stop(&mut self) {
        self.timers.clear();
    }

    /// The longest sleep that keeps the intervals.
    pub(crate) fn shortest_interval(&self) -> Option<Duration> {
        self.timers.iter().map(|timer| timer.interval).min()
    }

    /// Sends a dummy through each tunnel that was idle for its interval.
    pub(crate) fn send_due<D: Device>(
        &mut self,
        now: Instant,
        tunnels: &mut Tunnels,
        egress: &mut Egress<D::Frame>,
        io: &mut Io<D>,
    ) {
        for timer in &mut self.timers {
            let outbound = tunnels.states[timer.tunnel].outbound.sa();
            let sent = outbound.usage().packets;
            if timer.due(sent, now) {
                let packet = &mut self.packet;
                send(timer.tunnel, packet, now, tunnels, egress, io);
            }
        }
    }
}

/// Sends one dummy if there are a next hop, a frame and a sequence number for it. Otherwise the tunnel has no traffic to
/// hide.
fn send<D: Device>(
    tunnel: usize,
    packet: &mut Vec<u8>,
    now: Instant,
    tunnels: &mut Tunnels,
    egress: &mut Egress<D::Frame>,
    io: &mut Io<D>,
) {
    let state = &tunnels.states[tunnel];
    let route = Route::own(state.peer, state.hop);
    packet.clear();
    packet.resize(PAYLOAD.max(state.max_inner) + TAIL_ROOM, 0);
    if egress.waiting.admit(route.hop, 1).is_err() {
        return;
    }
    let Some(mut output) = io.device.allocate() else {
        return;
    };
    tunnels.mark_used(tunnel);
    let room = &mut io.device.room(&mut output)[ETHERNET..];
    let outbound = tunnels.states[tunnel].outbound.sa_mut();
    match outbound.seal_dummy(packet, PAYLOAD, room) {
        Ok(length) => egress.enqueue(output, length, Origin::Worker, route, now, io),
        Err(_) => io.device.release(output),
    }
}
