//! Takes a change from its command to its result.

use std::net::IpAddr;

use super::Coordinator;
use super::io::{Event, Health, Outcome, Output, Refusal, State};
use super::path_check::PathCheck;
use super::pending_change::{PendingChange, Stage};
use crate::change::{Change, Ordinal};
use crate::table::Table;

impl Coordinator {
    pub(super) fn command(&mut self, change: &Change, address: Option<IpAddr>) {
        if let Err(refusal) = self.start(change, address) {
            self.context.outputs.push_back(Output::Done(Err(refusal)));
        }
    }

    fn start(&mut self, change: &Change, address: Option<IpAddr>) -> Result<(), Refusal> {
        if let Some(under_way) = &self.change {
            let to = under_way.table.epoch();
            return Err(Refusal::UnderWay { to });
        }
        if let Some(why) = self.storing.error() {
            return Err(Refusal::NotStored { why });
        }
        let planned = self.table.change(change, address)?;
        self.peer
            .check_change(self.id, planned.table.id(), &self.context)?;
        let joins = match change {
            // A pair without buckets must first prove that its path works.
            Change::Add { name, .. } | Change::Weight { name, .. } => planned
                .table
                .member(name)
                .map(|member| member.ordinal)
                .filter(|&pair| self.table.share(pair) == 0),
            Change::Drain { .. } | Change::Remove { .. } => None,
        };
        if let Some(pair) = joins {
            self.pairs.add(pair, true, &mut self.context);
        }
        self.context.notify(Event::Began {
            epoch: planned.table.epoch(),
            buckets: planned.moves.len(),
        });
        let stage = match joins {
            Some(pair) => Stage::Joining {
                pair,
                check: PathCheck::new(pair, &mut self.context),
            },
            None => Stage::Committing {
                id: self.storing.next(),
            },
        };
        self.change = Some(PendingChange::new(planned, stage, &self.context));
        self.store();
        Ok(())
    }

    /// The table to which buckets move.
    pub(super) fn target(&self) -> &Table {
        match &self.change {
            Some(change) if matches!(change.stage, Stage::Moving) => &change.table,
            _ => &self.table,
        }
    }

    /// The disk has answered. A change whose state it does not take is given up as long as no bucket may have moved.
    pub(super) fn receive_stored(&mut self, id: u64, result: Result<(), String>) {
        self.storing.receive(id, result);
        let Some(change) = &self.change else {
            return;
        };
        if let Stage::Joining { .. } | Stage::Committing { .. } = change.stage
            && let Some(why) = self.storing.error()
        {
            self.finish_change(Err(Refusal::NotStored { why }));
        }
    }

    /// Advances the pending change, or ends it.
    pub(super) fn advance_change(&mut self) {
        let settled = self.is_settled();
        let id = self.id;
        let Some(change) = &mut self.change else {
            return;
        };
        match &mut change.stage {
            Stage::Joining { pair, check } => {
                let pair = *pair;
                check.resend(&mut self.context, id);
                if check.is_complete() && self.pairs.health(pair) == Health::Up {
                    if let Some(joined) = self.pairs.all.get_mut(&pair) {
                        joined.complete_join(&self.context);
                    }
                    change.record_progress(&self.context);
                    change.stage = Stage::Committing {
                        id: self.storing.next(),
                    };
                    self.store();
                } else if change.is_stuck(&mut self.context) {
                    let refusal = Refusal::PairUnreachable {
                        name: change.name(pair),
                        within_ms: self.context.settings.join_time.as_millis() as u64,
                    };
                    self.finish_change(Err(refusal));
                }
            }
            Stage::Committing { id: stored } if self.storing.is_done(*stored) => {
                change.record_progress(&self.context);
                change.stage = Stage::Moving;
                self.update_wanted();
                self.advance_moves();
            }
            Stage::Committing { .. } => {
                if change.is_stuck(&mut self.context) {
                    let within = self.context.settings.join_time.as_millis();
                    let why = format!("the write did not end within {within} ms");
                    self.finish_change(Err(Refusal::NotStored { why }));
                }
            }
            Stage::Moving if settled => {
                self.table = change.table.clone();
                self.id = change.id;
                let outcome = change.outcome(&self.context);
                self.finish_change(Ok(outcome));
            }
            Stage::Moving => {
                if change.is_stuck(&mut self.context) {
                    let within_ms = self.context.settings.join_time.as_millis() as u64;
                    let silent = Refusal::PeerSilent { within_ms };
                    let why = change.last_error.take().unwrap_or(silent);
                    change.record_progress(&self.context);
                    change.stage = Stage::Reverting(why);
                    self.update_wanted();
                }
            }
            Stage::Reverting(why) => {
                let why = why.clone();
                if settled || change.is_stuck(&mut self.context) {
                    self.finish_change(Err(why));
                }
            }
        }
    }

    fn finish_change(&mut self, how: Result<Outcome, Refusal>) {
        self.change = None;
        self.update_wanted();
        self.remove_unused_pairs();
        self.store();
        self.context.outputs.push_back(Output::Done(how));
    }

    /// Removes pairs that are in no table and take part in no move.
    pub(super) fn remove_unused_pairs(&mut self) {
        let known = |table: &Table, pair: &Ordinal| table.pair(*pair).is_some();
        let planned = self.change.as_ref().map(|change| &change.table);
        let in_use = self.pairs_in_use();
        let to: Vec<Ordinal> = self.batches.iter().map(|batch| batch.to).collect();
        self.pairs.all.retain(|pair, _| {
            known(&self.table, pair)
                || planned.is_some_and(|planned| known(planned, pair))
                || in_use.contains(pair)
                || to.contains(pair)
        });
    }

    fn store(&mut self) {
        let id = self.storing.begin();
        self.context.outputs.push_back(Output::Store {
            id,
            state: State {
                table: self.table.clone(),
                under_way: self.change.as_ref().map(PendingChange::under_way),
            },
        });
    }
}
