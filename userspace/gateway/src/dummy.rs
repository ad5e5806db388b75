//! Dummy packets (RFC 4303 section 2.6): a tunnel that has nothing to send sends something all the
//! same, so that silence does not tell.

use std::time::{Duration, Instant};

use causeway_device::Device;
use causeway_esp::TAIL_ROOM;
use causeway_steering::headers::ETHERNET;

use crate::backlog::Origin;
use crate::deliver::Way;
use crate::worker::Worker;

/// Octets of a dummy's payload: those of a small packet, more where TFC pads it.
const PAYLOAD: usize = 64;

/// When a tunnel sends its next dummy.
#[derive(Debug)]
pub(crate) struct Dummies {
    interval: Duration,
    /// Packets that the tunnel had sent when it was last looked at.
    sent: u64,
    /// Since when it has sent none.
    quiet: Option<Instant>,
}

impl Dummies {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            sent: 0,
            quiet: None,
        }
    }

    /// Whether the tunnel, which has sent so many packets, dummies among them, was quiet for the
    /// interval.
    fn due(&mut self, sent: u64, now: Instant) -> bool {
        let quiet = match self.quiet {
            Some(quiet) if sent == self.sent => quiet,
            _ => now,
        };
        let due = now.saturating_duration_since(quiet) >= self.interval;
        self.sent = if due { sent + 1 } else { sent };
        self.quiet = Some(if due { now } else { quiet });
        due
    }
}

impl<D: Device> Worker<D> {
    /// The longest that the worker may sleep for the sake of its dummies.
    pub(crate) fn shortest_interval(&self) -> Option<Duration> {
        let dummies = self.lanes.iter().filter_map(|lane| lane.dummies.as_ref());
        dummies.map(|dummies| dummies.interval).min()
    }

    /// Sends a dummy through each tunnel that was quiet for long enough.
    pub(crate) fn send_dummies(&mut self, now: Instant) {
        if !self.dummies {
            return;
        }
        for tunnel in 0..self.lanes.len() {
            let lane = &mut self.lanes[tunnel];
            let sent = lane.outbound.sa().usage().packets;
            if let Some(dummies) = &mut lane.dummies
                && dummies.due(sent, now)
            {
                self.send_dummy(tunnel, now);
            }
        }
    }

    /// Sends one, if there are a way, a frame and a number for it; if not, there was nothing to hide.
    fn send_dummy(&mut self, tunnel: usize, now: Instant) {
        let lane = &self.lanes[tunnel];
        let (hop, peer) = (lane.hop, lane.peer);
        // Nobody else's octets, though nobody sees them.
        self.blank.clear();
        self.blank
            .resize(PAYLOAD.max(lane.max_inner) + TAIL_ROOM, 0);
        if self.admit(hop, 1).is_err() {
            return;
        }
        let Some(mut out) = self.device.allocate() else {
            return;
        };
        self.used(tunnel);
        let room = &mut self.device.room(&mut out)[ETHERNET..];
        let outbound = self.lanes[tunnel].outbound.sa_mut();
        match outbound.seal_dummy(&mut self.blank, PAYLOAD, room) {
            Ok(length) => self.deliver(out, length, Origin::Worker, Way::own(peer, hop), now),
            Err(_) => self.device.release(out),
        }
    }
}
