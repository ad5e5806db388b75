//! The fence of a dead pair.
//!
//! The peer fences its gateway of the pair, so that no late packet arrives through it. The fence is
//! lifted once this VPC's gateway is back and has sent everything that it still had.

use std::time::Duration;

use super::context::{Context, PendingRequest, RESEND_AFTER};
use super::io::Event;
use crate::change::Ordinal;
use crate::message::{PeerMessage, Request};

/// The time in which a worker sends the packets that it found just before it would count as stalled.
const FLUSH_TIME: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct DeadState {
    fence: PendingRequest,
    stage: Stage,
    /// The peer's gateway itself confirmed the fence.
    confirmed: bool,
    /// The last time at which packets may have been sent to the pair.
    last_used: Duration,
    /// Since when this VPC's gateway has neither those packets nor held packets.
    drained_since: Option<Duration>,
    /// Holds that the gateway may still have, with the requests to release them.
    holds: Vec<(u64, PendingRequest)>,
    /// Probes that have returned since.
    pub echoes: u32,
}

#[derive(Debug)]
enum Stage {
    /// The fence is requested from the peer.
    Fencing,
    /// The peer's gateway does not answer. It counts as stopped from this time on.
    Silent(Duration),
    /// No packet is delivered through the pair.
    Fenced,
    /// Lifting the fence is requested from the peer.
    Lifting(PendingRequest),
    /// Packets through the pair are delivered again.
    Lifted,
}

impl DeadState {
    pub fn new(context: &mut Context) -> Self {
        Self {
            fence: context.request(),
            stage: Stage::Fencing,
            confirmed: false,
            last_used: context.now,
            drained_since: None,
            holds: Vec::new(),
            echoes: 0,
        }
    }

    /// Whether no packet that went to the pair before `since` will be delivered any more.
    pub fn is_fenced(&self, since: Duration, context: &mut Context) -> bool {
        // A silent gateway may have resumed before it received the fence. Its workers discard packets
        // that waited longer than `stall_after`.
        let stopped = since + context.settings.stall_after + FLUSH_TIME;
        matches!(self.stage, Stage::Fenced) && (self.confirmed || context.reached(stopped))
    }

    /// Whether a returned probe counts towards the pair's recovery.
    pub fn is_lifting(&self) -> bool {
        matches!(self.stage, Stage::Lifting(_) | Stage::Lifted)
    }

    /// This VPC's gateway has sealed a probe that was sent at `sent`, and so all packets before it.
    pub fn marker_sealed(&mut self, sent: Duration, now: Duration) {
        if matches!(self.stage, Stage::Fenced) && sent > self.last_used {
            self.drained_since.get_or_insert(now);
        }
    }

    /// The gateway may have a hold, or may receive the request for one when it resumes. The packets
    /// that it releases while it is fenced are not delivered.
    pub fn add_hold(&mut self, hold: u64, context: &mut Context) {
        self.holds.push((hold, context.request()));
    }

    /// Processes a gateway's reply, if it answers a release.
    pub fn receive_reply(&mut self, id: u64, now: Duration) {
        let before = self.holds.len();
        self.holds.retain(|(_, pending)| pending.id != id);
        if self.holds.len() < before {
            self.drained_since = Some(now);
        }
    }

    /// The peer reported that the fence is set, or that its gateway is `silent`. Whether the report
    /// changed the state.
    pub fn receive_fenced(&mut self, id: u64, silent: bool, context: &Context) -> bool {
        let settings = &context.settings;
        self.stage = match self.stage {
            Stage::Fencing | Stage::Silent(_) | Stage::Fenced
                if self.fence.id == id && !silent && !self.confirmed =>
            {
                self.confirmed = true;
                Stage::Fenced
            }
            // The peer has already waited `fence_time` for its gateway when it reports silence.
            Stage::Fencing if self.fence.id == id && silent => Stage::Silent(
                context.now + settings.stall_after.saturating_sub(settings.fence_time) + FLUSH_TIME,
            ),
            _ => return false,
        };
        true
    }

    /// The peer reported that the fence is lifted.
    pub fn receive_lifted(&mut self, id: u64) {
        if matches!(self.stage, Stage::Lifting(pending) if pending.id == id) {
            self.stage = Stage::Lifted;
        }
    }

    /// Sends the requests that are due, and advances the stage. `in_use`: packets may still go to the
    /// pair, or be on their way through it.
    pub fn step(
        &mut self,
        pair: Ordinal,
        relay: Option<Ordinal>,
        in_use: bool,
        context: &mut Context,
    ) {
        if let Stage::Fencing = self.stage {
            let id = self.fence.id;
            // No hold waits longer than this for the fence.
            if context.reached(self.fence.since + context.settings.hold_time) {
                self.stage = Stage::Fenced;
                context.notify(Event::Fenced { pair, silent: true });
            } else if let Some(relay) = relay
                && context.due(&mut self.fence, RESEND_AFTER)
            {
                context.send_to_peer(relay, PeerMessage::Fence { id, pair });
            }
        }
        if let Stage::Silent(until) = self.stage
            && context.reached(until)
        {
            self.stage = Stage::Fenced;
        }
        if in_use || !matches!(self.stage, Stage::Fenced) {
            (self.last_used, self.drained_since) = (context.now, None);
        } else if let Some(drained_since) = self.drained_since {
            for (hold, pending) in &mut self.holds {
                if context.due(pending, RESEND_AFTER) {
                    context.send(pair, pending.id, Request::Release { hold: *hold });
                }
            }
            // The packets that the gateway sealed get as long to arrive as held packets wait.
            if self.holds.is_empty() && context.reached(drained_since + context.settings.hold_time)
            {
                self.stage = Stage::Lifting(context.request());
                self.echoes = 0;
            }
        }
        let every = context.settings.probe_interval;
        if let Stage::Lifting(pending) = &mut self.stage
            && let Some(relay) = relay
            && context.due(pending, every)
        {
            context.send_to_peer(
                relay,
                PeerMessage::Lift {
                    id: pending.id,
                    pair,
                },
            );
        }
    }
}
