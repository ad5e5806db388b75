//! What every part of the coordinator writes on: the time, numbers for requests, what is to be done.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Event, Output, Settings};
use crate::Ordinal;
use crate::message::{PeerWord, Request, ToGateway};

/// How often a request is said again that is not answered.
pub(super) const REPEAT: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Desk {
    pub settings: Settings,
    pub now: Duration,
    pub out: VecDeque<Output>,
    /// When something is due next, as far as this step has seen.
    pub wake: Duration,
    number: u64,
}

/// A request that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub id: u64,
    pub since: Duration,
    again: Duration,
}

impl Desk {
    pub fn new(settings: Settings, number: u64, now: Duration) -> Self {
        Self {
            settings,
            now,
            out: VecDeque::new(),
            wake: now,
            number,
        }
    }

    /// It is `now`. Returns how much later that is than it was to be at the latest.
    pub fn come(&mut self, now: Duration) -> Duration {
        self.now = self.now.max(now);
        let wake = std::mem::replace(&mut self.wake, Duration::MAX);
        self.now.saturating_sub(wake)
    }

    /// A number that no request had.
    pub fn number(&mut self) -> u64 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    /// A request, to be said at once.
    pub fn ask(&mut self) -> Ask {
        Ask {
            id: self.number(),
            since: self.now,
            again: self.now,
        }
    }

    /// Whether the request is to be said now, and then not again before `every` has passed.
    pub fn due(&mut self, ask: &mut Ask, every: Duration) -> bool {
        let due = self.past(ask.again);
        if due {
            ask.again = self.now + every;
            self.wake_at(ask.again);
        }
        due
    }

    /// Whether it is `time`. If not, it will be looked at again then.
    pub fn past(&mut self, time: Duration) -> bool {
        let past = self.now >= time;
        if !past {
            self.wake_at(time);
        }
        past
    }

    pub fn say(&mut self, to: Ordinal, id: u64, request: Request) {
        let peering = self.settings.peering.clone();
        let said = ToGateway {
            id,
            peering,
            request,
        };
        self.out.push_back(Output::ToGateway(to, said));
    }

    /// Says a word to the peer's demux through a pair.
    pub fn carry(&mut self, through: Ordinal, word: PeerWord) {
        let id = self.number();
        let request = Request::Carry {
            from: self.settings.own,
            to: self.settings.peer,
            word,
        };
        self.say(through, id, request);
    }

    pub fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn wake_at(&mut self, time: Duration) {
        self.wake = self.wake.min(time);
    }
}
