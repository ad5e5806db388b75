//! The state of the pending change.

use std::time::Duration;

use super::context::Context;
use super::io::{Outcome, Refusal, UnderWay};
use super::path_check::PathCheck;
use crate::change::Ordinal;
use crate::message::TableId;
use crate::table::{Planned, Table};

#[derive(Debug)]
pub(super) struct PendingChange {
    pub table: Table,
    pub id: TableId,
    pub stage: Stage,
    pub outcome: Outcome,
    /// The last failure of a move.
    pub last_error: Option<Refusal>,
    started: Duration,
    last_progress: Duration,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// A new pair must prove its path before it carries buckets.
    Joining { pair: Ordinal, check: PathCheck },
    /// The state with this number must be on disk before a bucket moves, so that a restarted demux completes the change.
    Committing { id: u64 },
    /// Buckets move to the pairs of the new table.
    Moving,
    /// The change was given up, and moved buckets move back.
    Reverting(Refusal),
}

impl PendingChange {
    pub fn new(planned: Planned, stage: Stage, context: &Context) -> Self {
        Self {
            id: planned.table.id(),
            outcome: Outcome {
                epoch: planned.table.epoch(),
                moved_idle: 0,
                moved_by_barrier: 0,
                minimum: planned.moves.len(),
                held: 0,
                dropped: 0,
                elapsed_ms: 0,
            },
            table: planned.table,
            stage,
            last_error: None,
            started: context.now,
            last_progress: context.now,
        }
    }

    /// The change as it is stored on disk.
    pub fn under_way(&self) -> UnderWay {
        UnderWay {
            table: self.table.clone(),
            begun: !matches!(self.stage, Stage::Joining { .. }),
        }
    }

    /// Records that a bucket has moved.
    pub fn record_progress(&mut self, context: &Context) {
        self.last_progress = context.now;
    }

    /// Whether nothing has moved for `join_time`, so that the change is given up.
    pub fn is_stuck(&self, context: &mut Context) -> bool {
        context.reached(self.last_progress + context.settings.join_time)
    }

    /// The result of the change, at its end.
    pub fn outcome(&self, context: &Context) -> Outcome {
        Outcome {
            elapsed_ms: context.now.saturating_sub(self.started).as_millis() as u64,
            ..self.outcome
        }
    }

    /// Records that a gateway did not confirm a hold in time.
    pub fn hold_not_confirmed(&mut self, pair: Ordinal, context: &Context) {
        self.last_error = Some(Refusal::HoldNotConfirmed {
            name: self.name(pair),
            within_ms: context.settings.hold_time.as_millis() as u64,
        });
    }

    /// The name of a pair's gateway in this VPC.
    pub fn name(&self, pair: Ordinal) -> String {
        match self.table.pair(pair) {
            Some(member) => member.name.clone(),
            None => format!("gateway {}", pair.0),
        }
    }
}
