//! The change under way, from the command to its answer.

use std::time::Duration;

use super::desk::Desk;
use super::guard::Guard;
use super::{Outcome, Refusal, UnderWay};
use crate::Ordinal;
use crate::message::TableId;
use crate::table::{Planned, Table};

#[derive(Debug)]
pub(super) struct Changing {
    pub table: Table,
    pub id: TableId,
    pub stage: Stage,
    /// Whether buckets may have moved.
    pub begun: bool,
    pub outcome: Outcome,
    /// What went wrong last.
    pub trouble: Option<Refusal>,
    asked: Duration,
    progress: Duration,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// A pair has to prove its way before it carries anything.
    Joining { pair: Ordinal, way: Guard },
    /// Buckets move.
    Moving,
    /// It was given up, and what has moved moves back.
    Reverting(Refusal),
}

impl Changing {
    pub fn new(planned: Planned, joins: Option<Ordinal>, desk: &mut Desk) -> Self {
        let stage = match joins {
            Some(pair) => Stage::Joining {
                pair,
                way: Guard::new(pair, desk),
            },
            None => Stage::Moving,
        };
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
            begun: false,
            trouble: None,
            asked: desk.now,
            progress: desk.now,
        }
    }

    /// As it is stored.
    pub fn under_way(&self) -> UnderWay {
        UnderWay {
            table: self.table.clone(),
            begun: self.begun,
        }
    }

    /// Something has moved.
    pub fn advanced(&mut self, desk: &Desk) {
        self.progress = desk.now;
    }

    /// Whether nothing has moved for so long that nothing will.
    pub fn is_stuck(&self, desk: &mut Desk) -> bool {
        desk.past(self.progress + desk.settings.join_time)
    }

    /// What it did, at its end.
    pub fn outcome(&self, desk: &Desk) -> Outcome {
        Outcome {
            elapsed_ms: desk.now.saturating_sub(self.asked).as_millis() as u64,
            ..self.outcome
        }
    }
}
