//! Moves buckets to another pair behind a barrier.

use std::time::Duration;

use super::context::{Context, PendingRequest, RESEND_AFTER};
use super::io::Event;
use super::pairs::Pairs;
use super::path_check::PathCheck;
use crate::buckets::BucketSet;
use crate::change::Ordinal;
use crate::message::{Reply, Request, TableId};

/// A hold counts as over this long after its time limit, because the gateway's own timer starts later.
const SLACK: Duration = Duration::from_millis(100);

/// Buckets that move to one pair under one hold.
#[derive(Debug)]
pub(super) struct Batch {
    pub buckets: BucketSet,
    pub to: Ordinal,
    /// One check for each pair from which earlier packets may still arrive.
    pub checks: Vec<PathCheck>,
    /// The old pair is alive, so the batch is not urgent.
    pub planned: bool,
    pub stage: Stage,
    hold: PendingRequest,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// The hold is requested from the new gateway.
    Holding,
    /// The new gateway holds and the buckets are assigned to it. The checks of the old pairs run.
    Proving {
        /// When the hold ends by its own limit.
        until: Duration,
    },
    /// The release is requested from the new gateway.
    Releasing {
        /// Whether the buckets moved.
        moved: bool,
        /// When the hold ends by its own limit.
        until: Duration,
        pending: PendingRequest,
    },
    /// The new gateway died before the checks were complete.
    Orphaned {
        /// When the checks are no longer needed.
        until: Duration,
    },
    /// The hold is over.
    Over {
        /// Whether the buckets moved.
        moved: bool,
    },
}

/// The effect of a gateway's reply on a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BatchReply {
    /// The gateway holds, so the buckets may move now.
    Held,
    /// The gateway has released the held packets.
    Released { packets: u64, dropped: u64 },
}

impl Batch {
    pub fn new(
        to: Ordinal,
        buckets: BucketSet,
        checks: Vec<PathCheck>,
        planned: bool,
        context: &mut Context,
    ) -> Self {
        Self {
            buckets,
            to,
            checks,
            planned,
            stage: Stage::Holding,
            hold: context.request(),
        }
    }

    /// Processes a gateway's reply, if it belongs to this batch.
    pub fn receive_reply(
        &mut self,
        from: Ordinal,
        id: u64,
        reply: &Reply,
        context: &mut Context,
    ) -> Option<BatchReply> {
        if from != self.to {
            return None;
        }
        match (self.stage, reply) {
            (Stage::Holding, Reply::Held) if id == self.hold.id => {
                let since = context.now.saturating_sub(self.hold.since);
                // The gateway's timer may have started with the first request. Too little of the
                // hold time may be left.
                if since > context.settings.hold_time / 2 {
                    self.release(false, context);
                    return None;
                }
                Some(BatchReply::Held)
            }
            (Stage::Holding, Reply::Refused { .. }) if id == self.hold.id => {
                self.release(false, context);
                None
            }
            (Stage::Releasing { moved, pending, .. }, Reply::Released { packets, dropped })
                if id == pending.id =>
            {
                self.stage = Stage::Over { moved };
                context.notify(Event::Released {
                    pair: self.to,
                    packets: *packets,
                    dropped: *dropped,
                });
                Some(BatchReply::Released {
                    packets: *packets,
                    dropped: *dropped,
                })
            }
            (Stage::Releasing { moved, pending, .. }, Reply::Refused { .. })
                if id == pending.id =>
            {
                self.stage = Stage::Over { moved };
                None
            }
            _ => None,
        }
    }

    /// The buckets are assigned to the new gateway; `checks` cover their old pairs.
    pub fn start_proving(
        &mut self,
        checks: impl IntoIterator<Item = PathCheck>,
        context: &Context,
    ) {
        self.checks.extend(checks);
        let until = context.now + context.settings.hold_time + SLACK;
        self.stage = Stage::Proving { until };
    }

    /// The new gateway died. Returns the id of the hold that the gateway may still have.
    pub fn target_died(&mut self, context: &Context) -> Option<u64> {
        self.stage = match self.stage {
            Stage::Proving { .. } => Stage::Orphaned {
                until: context.now + context.settings.hold_time + SLACK,
            },
            Stage::Orphaned { .. } | Stage::Over { .. } => return None,
            Stage::Holding => Stage::Over { moved: false },
            Stage::Releasing { moved, .. } => Stage::Over { moved },
        };
        Some(self.hold.id)
    }

    /// Sends the requests that are due, and advances the stage.
    pub fn step(&mut self, pairs: &Pairs, context: &mut Context, table: TableId) {
        self.checks.retain(|check| !is_done(check, pairs, context));
        let live = |check: &&mut PathCheck| {
            pairs
                .all
                .get(&check.pair)
                .is_some_and(|pair| pair.dead.is_none())
        };
        self.checks
            .iter_mut()
            .filter(live)
            .for_each(|check| check.resend(context, table));
        match self.stage {
            Stage::Holding => self.request_hold(pairs, context),
            Stage::Proving { .. } if self.checks.is_empty() => self.release(true, context),
            Stage::Proving { until } => {
                if context.reached(until) {
                    context.notify(Event::HoldExpired { pair: self.to });
                    self.release(true, context);
                }
            }
            Stage::Orphaned { until } => {
                if self.checks.is_empty() || context.reached(until) {
                    self.stage = Stage::Over { moved: true };
                }
            }
            Stage::Releasing { .. } | Stage::Over { .. } => {}
        }
        if let Stage::Releasing {
            moved,
            until,
            pending,
        } = &mut self.stage
        {
            if context.reached(*until) {
                self.stage = Stage::Over { moved: *moved };
            } else if context.due(pending, RESEND_AFTER) {
                let hold = self.hold.id;
                context.send(self.to, pending.id, Request::Release { hold });
            }
        }
    }

    fn request_hold(&mut self, pairs: &Pairs, context: &mut Context) {
        let limit = context.settings.hold_time;
        if context.reached(self.hold.since + limit) {
            self.release(false, context);
        } else if pairs.all.get(&self.to).is_some_and(|pair| pair.is_reset())
            && context.due(&mut self.hold, RESEND_AFTER)
        {
            let request = Request::Hold {
                buckets: self.buckets.clone(),
                limit_ms: limit.as_millis() as u32,
                hold_timeout_action: context.settings.hold_timeout_action,
            };
            context.send(self.to, self.hold.id, request);
        }
    }

    fn release(&mut self, moved: bool, context: &mut Context) {
        let until = context.now + context.settings.hold_time + SLACK;
        self.stage = Stage::Releasing {
            moved,
            until,
            pending: context.request(),
        };
    }
}

fn is_done(check: &PathCheck, pairs: &Pairs, context: &mut Context) -> bool {
    check.is_complete()
        || match pairs.all.get(&check.pair) {
            None => true,
            Some(pair) => pair
                .dead
                .as_ref()
                .is_some_and(|dead| dead.is_fenced(check.pending.since, context)),
        }
}
