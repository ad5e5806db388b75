//! The state that all parts of the coordinator share: the time, the request ids and the outputs.

use std::collections::VecDeque;
use std::time::Duration;

use super::io::{Event, Output};
use super::settings::Settings;
use crate::change::Ordinal;
use crate::message::{PeerMessage, Request, ToGateway};

/// The interval at which an unanswered request is sent again.
pub(super) const RESEND_AFTER: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Context {
    pub settings: Settings,
    pub now: Duration,
    pub outputs: VecDeque<Output>,
    /// The earliest time at which something is due, as far as this step has found.
    pub wake: Duration,
    last_id: u64,
}

/// A request without a reply yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingRequest {
    pub id: u64,
    pub since: Duration,
    next_send: Duration,
}

impl Context {
    pub fn new(settings: Settings, last_id: u64, now: Duration) -> Self {
        Self {
            settings,
            now,
            outputs: VecDeque::new(),
            wake: now,
            last_id,
        }
    }

    /// Advances the clock to `now` and returns how late this wake-up is.
    pub fn advance_clock(&mut self, now: Duration) -> Duration {
        self.now = self.now.max(now);
        let wake = std::mem::replace(&mut self.wake, Duration::MAX);
        self.now.saturating_sub(wake)
    }

    /// An id that no earlier request of this process has.
    pub fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// A new request, due at once.
    pub fn request(&mut self) -> PendingRequest {
        PendingRequest {
            id: self.next_id(),
            since: self.now,
            next_send: self.now,
        }
    }

    /// Whether the request is to be sent now. If so, it is due again after `every`.
    pub fn due(&mut self, pending: &mut PendingRequest, every: Duration) -> bool {
        let due = self.reached(pending.next_send);
        if due {
            pending.next_send = self.now + every;
            self.wake_at(pending.next_send);
        }
        due
    }

    /// Whether `time` is reached. If not, the coordinator wakes up at that time.
    pub fn reached(&mut self, time: Duration) -> bool {
        let reached = self.now >= time;
        if !reached {
            self.wake_at(time);
        }
        reached
    }

    pub fn send(&mut self, to: Ordinal, id: u64, request: Request) {
        let peering = self.settings.peering.clone();
        let message = ToGateway {
            id,
            peering,
            request,
        };
        self.outputs.push_back(Output::ToGateway(to, message));
    }

    /// Sends a message to the peer's demux through a pair.
    pub fn send_to_peer(&mut self, through: Ordinal, message: PeerMessage) {
        let id = self.next_id();
        let request = Request::SendToPeer {
            from: self.settings.own,
            to: self.settings.peer,
            message,
        };
        self.send(through, id, request);
    }

    pub fn notify(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn wake_at(&mut self, time: Duration) {
        self.wake = self.wake.min(time);
    }
}
