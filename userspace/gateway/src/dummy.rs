//! Dummy packets (RFC 4303 section 2.6): an idle tunnel sends them, so that an observer cannot detect when it is idle.

use std::time::{Duration, Instant};

use causeway_device::Device;

use crate::egress::Egress;
use crate::io::Io;
use crate::own_packet::{OwnPacket, OwnSealer};
use crate::tunnel::Tunnels;

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
}

impl Dummies {
    /// `intervals` has the tunnels that send dummies, with their idle times.
    pub(crate) fn new(intervals: impl Iterator<Item = (usize, Duration)>) -> Self {
        let timers = intervals.map(|(tunnel, interval)| Timer {
            tunnel,
            interval,
            sent: 0,
            idle_since: None,
        });
        Self {
            timers: timers.collect(),
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
        sealer: &mut OwnSealer,
        tunnels: &mut Tunnels,
        egress: &mut Egress<D::Frame>,
        io: &mut Io<D>,
    ) {
        for timer in &mut self.timers {
            let outbound = tunnels.states[timer.tunnel].outbound.sa();
            let sent = outbound.usage().packets;
            if timer.due(sent, now) {
                // Without a next hop, a frame or a sequence number the tunnel has no traffic to hide.
                let _ = sealer.send(OwnPacket::Dummy, timer.tunnel, now, tunnels, egress, io);
            }
        }
    }
}
