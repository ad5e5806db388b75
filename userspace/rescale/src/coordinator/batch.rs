//! Buckets that go to another pair behind a barrier.

use std::time::Duration;

use super::Event;
use super::desk::{Ask, Desk, REPEAT};
use super::guard::Guard;
use super::pairs::Pairs;
use crate::message::{Reply, Request, TableId};
use crate::{BucketSet, Ordinal};

/// How much later than by its own limit a hold counts as gone.
const SLACK: Duration = Duration::from_millis(100);

/// One hold, what it is for, and how far it is.
#[derive(Debug)]
pub(super) struct Batch {
    pub buckets: BucketSet,
    pub to: Ordinal,
    /// From where packets of the buckets may still be on their way.
    pub guards: Vec<Guard>,
    /// Both pairs are alive: it can wait, and others with it.
    pub planned: bool,
    pub stage: Stage,
    hold: Ask,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// The new gateway is asked to hold.
    Holding,
    /// It holds, the buckets are its own; the old pairs' guards are under way.
    Proving {
        /// When the hold is over by itself.
        until: Duration,
    },
    /// It is asked to let go.
    Releasing {
        /// Whether the buckets moved.
        moved: bool,
        /// When the hold is over by itself.
        until: Duration,
        ask: Ask,
    },
    /// The new gateway died, and the guards are not through.
    Orphaned {
        /// When they have become meaningless.
        until: Duration,
    },
    /// There is no hold any more.
    Over {
        /// Whether the buckets moved.
        moved: bool,
    },
}

/// What a gateway's answer means to a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It holds: the buckets may move now.
    Holds,
    /// It let packets go.
    Released { packets: u64, dropped: u64 },
}

impl Batch {
    pub fn new(
        to: Ordinal,
        buckets: BucketSet,
        guards: Vec<Guard>,
        planned: bool,
        desk: &mut Desk,
    ) -> Self {
        Self {
            buckets,
            to,
            guards,
            planned,
            stage: Stage::Holding,
            hold: desk.ask(),
        }
    }

    /// A gateway's answer, if it is one to this batch.
    pub fn answered(
        &mut self,
        from: Ordinal,
        id: u64,
        reply: &Reply,
        desk: &mut Desk,
    ) -> Option<Heard> {
        if from != self.to {
            return None;
        }
        match (self.stage, reply) {
            (Stage::Holding, Reply::Held) if id == self.hold.id => {
                let since = desk.now.saturating_sub(self.hold.since);
                // The hold runs from when it was heard, which may be a while ago.
                if since > desk.settings.hold_time / 2 {
                    self.release(false, desk);
                    return None;
                }
                Some(Heard::Holds)
            }
            (Stage::Holding, Reply::Refused { .. }) if id == self.hold.id => {
                self.release(false, desk);
                None
            }
            (Stage::Releasing { moved, ask, .. }, Reply::Released { packets, dropped })
                if id == ask.id =>
            {
                self.stage = Stage::Over { moved };
                desk.tell(Event::Released {
                    pair: self.to,
                    packets: *packets,
                    dropped: *dropped,
                });
                Some(Heard::Released {
                    packets: *packets,
                    dropped: *dropped,
                })
            }
            (Stage::Releasing { moved, ask, .. }, Reply::Refused { .. }) if id == ask.id => {
                self.stage = Stage::Over { moved };
                None
            }
            _ => None,
        }
    }

    /// The buckets are with the new gateway, and these guards stand for where they were.
    pub fn moved(&mut self, guards: impl IntoIterator<Item = Guard>, desk: &Desk) {
        self.guards.extend(guards);
        let until = desk.now + desk.settings.hold_time + SLACK;
        self.stage = Stage::Proving { until };
    }

    /// The new gateway died. The hold that it may still have.
    pub fn bereave(&mut self, desk: &Desk) -> Option<u64> {
        self.stage = match self.stage {
            Stage::Proving { .. } => Stage::Orphaned {
                until: desk.now + desk.settings.hold_time + SLACK,
            },
            Stage::Orphaned { .. } | Stage::Over { .. } => return None,
            Stage::Holding => Stage::Over { moved: false },
            Stage::Releasing { moved, .. } => Stage::Over { moved },
        };
        Some(self.hold.id)
    }

    /// Goes on as far as it can.
    pub fn step(&mut self, pairs: &Pairs, desk: &mut Desk, table: TableId) {
        self.guards.retain(|guard| !is_done(guard, pairs, desk));
        let live = |guard: &&mut Guard| {
            pairs
                .all
                .get(&guard.pair)
                .is_some_and(|pair| pair.death.is_none())
        };
        self.guards
            .iter_mut()
            .filter(live)
            .for_each(|guard| guard.press(desk, table));
        match self.stage {
            Stage::Holding => self.ask_to_hold(pairs, desk),
            Stage::Proving { .. } if self.guards.is_empty() => self.release(true, desk),
            Stage::Proving { until } => {
                if desk.past(until) {
                    desk.tell(Event::HoldExpired { pair: self.to });
                    self.release(true, desk);
                }
            }
            Stage::Orphaned { until } => {
                if self.guards.is_empty() || desk.past(until) {
                    self.stage = Stage::Over { moved: true };
                }
            }
            Stage::Releasing { .. } | Stage::Over { .. } => {}
        }
        if let Stage::Releasing { moved, until, ask } = &mut self.stage {
            if desk.past(*until) {
                self.stage = Stage::Over { moved: *moved };
            } else if desk.due(ask, REPEAT) {
                let hold = self.hold.id;
                desk.say(self.to, ask.id, Request::Release { hold });
            }
        }
    }

    fn ask_to_hold(&mut self, pairs: &Pairs, desk: &mut Desk) {
        let limit = desk.settings.hold_time;
        if desk.past(self.hold.since + limit) {
            self.release(false, desk);
        } else if pairs.all.get(&self.to).is_some_and(|pair| pair.is_reset())
            && desk.due(&mut self.hold, REPEAT)
        {
            let request = Request::Hold {
                buckets: self.buckets.clone(),
                limit_ms: limit.as_millis() as u32,
                at_limit: desk.settings.at_limit,
            };
            desk.say(self.to, self.hold.id, request);
        }
    }

    fn release(&mut self, moved: bool, desk: &mut Desk) {
        let until = desk.now + desk.settings.hold_time + SLACK;
        self.stage = Stage::Releasing {
            moved,
            until,
            ask: desk.ask(),
        };
    }
}

fn is_done(guard: &Guard, pairs: &Pairs, desk: &mut Desk) -> bool {
    guard.is_through()
        || match pairs.all.get(&guard.pair) {
            None => true,
            Some(pair) => pair
                .death
                .as_ref()
                .is_some_and(|death| death.is_fenced(guard.ask.since, desk)),
        }
}
