//! A dead pair: its peer's gateway is fenced, and unfenced when its own gateway is back.

use std::time::Duration;

use super::Event;
use super::desk::{Ask, Desk, REPEAT};
use super::pairs::Pairs;
use crate::Ordinal;
use crate::message::{PeerWord, Request};

/// What a worker may take to send what it found just before it would have discarded it.
const TO_WORK_OFF: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Death {
    fence: Ask,
    stage: Stage,
    /// The peer's gateway said itself that it is fenced.
    confirmed: bool,
    /// When anything may last have been sent to the pair.
    used: Duration,
    /// Since when the own gateway has nothing of that any more, and nothing that it held.
    empty: Option<Duration>,
    /// Holds that it may still have, and the requests to release them.
    holds: Vec<(u64, Ask)>,
    /// Probes that have come through since.
    pub echoes: u32,
}

#[derive(Debug)]
enum Stage {
    /// The peer is asked to fence.
    Fencing,
    /// The peer's gateway is silent: it counts as stopped from this time on.
    Silent(Duration),
    /// Nothing comes through.
    Fenced,
    /// The peer is asked to lift the fence.
    Lifting(Ask),
    /// What comes through is delivered.
    Lifted,
}

impl Death {
    pub fn new(desk: &mut Desk) -> Self {
        Self {
            fence: desk.ask(),
            stage: Stage::Fencing,
            confirmed: false,
            used: desk.now,
            empty: None,
            holds: Vec::new(),
            echoes: 0,
        }
    }

    /// Whether nothing of what went to the pair before `since` will be delivered any more.
    pub fn is_fenced(&self, since: Duration, desk: &mut Desk) -> bool {
        // A silent gateway may have gone on before it heard of the fence.
        let stopped = since + desk.settings.standstill + TO_WORK_OFF;
        matches!(self.stage, Stage::Fenced) && (self.confirmed || desk.past(stopped))
    }

    /// Whether a probe that comes through says that the pair is back.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Lifting(_) | Stage::Lifted)
    }

    /// The own gateway has sealed a probe that was sent at `sent`, and so all that came before it.
    pub fn sealed(&mut self, sent: Duration, now: Duration) {
        if matches!(self.stage, Stage::Fenced) && sent > self.used {
            self.empty.get_or_insert(now);
        }
    }

    /// The gateway may have a hold, or read the request for one when it goes on. What it releases
    /// while it is fenced reaches nobody.
    pub fn leaves(&mut self, hold: u64, desk: &mut Desk) {
        self.holds.push((hold, desk.ask()));
    }

    /// A gateway's answer, if it is one to a release.
    pub fn answered(&mut self, id: u64, now: Duration) {
        let before = self.holds.len();
        self.holds.retain(|(_, ask)| ask.id != id);
        if self.holds.len() < before {
            self.empty = Some(now);
        }
    }
}

impl Pairs {
    /// Fences, and lifts the fences of pairs to which nothing goes any more.
    pub fn bury(&mut self, desk: &mut Desk, in_use: impl Fn(Ordinal) -> bool) {
        let dead: Vec<Ordinal> = self.dead().into_iter().collect();
        for ordinal in dead {
            let carrier = self.carrier(Some(ordinal));
            let Some(death) = self
                .all
                .get_mut(&ordinal)
                .and_then(|pair| pair.death.as_mut())
            else {
                continue;
            };
            death.step(ordinal, carrier, in_use(ordinal), desk);
        }
    }

    /// The peer has fenced.
    pub fn fenced(&mut self, id: u64, ordinal: Ordinal, silent: bool, desk: &mut Desk) {
        let death = self
            .all
            .get_mut(&ordinal)
            .and_then(|pair| pair.death.as_mut());
        let Some(death) = death else { return };
        let settings = &desk.settings;
        death.stage = match death.stage {
            Stage::Fencing | Stage::Silent(_) | Stage::Fenced
                if death.fence.id == id && !silent && !death.confirmed =>
            {
                death.confirmed = true;
                Stage::Fenced
            }
            // The peer has asked its gateway for `fence_time` when it says so.
            Stage::Fencing if death.fence.id == id && silent => Stage::Silent(
                desk.now + settings.standstill.saturating_sub(settings.fence_time) + TO_WORK_OFF,
            ),
            _ => return,
        };
        desk.tell(Event::Fenced {
            pair: ordinal,
            silent,
        });
    }

    /// The peer has lifted the fence.
    pub fn lifted(&mut self, id: u64, ordinal: Ordinal) {
        let death = self
            .all
            .get_mut(&ordinal)
            .and_then(|pair| pair.death.as_mut());
        if let Some(death) = death
            && matches!(death.stage, Stage::Lifting(ask) if ask.id == id)
        {
            death.stage = Stage::Lifted;
        }
    }
}

impl Death {
    fn step(&mut self, pair: Ordinal, carrier: Option<Ordinal>, in_use: bool, desk: &mut Desk) {
        if let Stage::Fencing = self.stage {
            let id = self.fence.id;
            // No hold waits longer for it than this.
            if desk.past(self.fence.since + desk.settings.hold_time) {
                self.stage = Stage::Fenced;
                desk.tell(Event::Fenced { pair, silent: true });
            } else if let Some(carrier) = carrier
                && desk.due(&mut self.fence, REPEAT)
            {
                desk.carry(carrier, PeerWord::Fence { id, pair });
            }
        }
        if let Stage::Silent(until) = self.stage
            && desk.past(until)
        {
            self.stage = Stage::Fenced;
        }
        if in_use || !matches!(self.stage, Stage::Fenced) {
            (self.used, self.empty) = (desk.now, None);
        } else if let Some(empty) = self.empty {
            for (hold, ask) in &mut self.holds {
                if desk.due(ask, REPEAT) {
                    desk.say(pair, ask.id, Request::Release { hold: *hold });
                }
            }
            // What it sealed is given as long as held packets are.
            if self.holds.is_empty() && desk.past(empty + desk.settings.hold_time) {
                self.stage = Stage::Lifting(desk.ask());
                self.echoes = 0;
            }
        }
        let every = desk.settings.probe_interval;
        if let Stage::Lifting(ask) = &mut self.stage
            && let Some(carrier) = carrier
            && desk.due(ask, every)
        {
            desk.carry(carrier, PeerWord::Lift { id: ask.id, pair });
        }
    }
}
