//! A change, from its command to its answer.

use std::net::IpAddr;

use super::changing::{Changing, Stage};
use super::{Coordinator, Event, Health, Output, Refusal, State};
use crate::table::Table;
use crate::{Change, Ordinal};

impl Coordinator {
    pub(super) fn command(&mut self, change: &Change, address: Option<IpAddr>) {
        if let Err(refusal) = self.start(change, address) {
            self.desk.out.push_back(Output::Done(Err(refusal)));
        }
    }

    fn start(&mut self, change: &Change, address: Option<IpAddr>) -> Result<(), Refusal> {
        if let Some(under_way) = &self.change {
            let to = under_way.table.epoch();
            return Err(Refusal::UnderWay { to });
        }
        let planned = self.table.change(change, address)?;
        self.peer.allows(self.id, planned.table.id(), &self.desk)?;
        let joins = match change {
            // Who carried nothing has to prove that it can.
            Change::Add { name, .. } | Change::Weight { name, .. } => planned
                .table
                .member(name)
                .map(|member| member.ordinal)
                .filter(|&pair| self.table.share(pair) == 0),
            Change::Drain { .. } | Change::Remove { .. } => None,
        };
        if let Some(pair) = joins {
            self.pairs.join(pair, true, &mut self.desk);
        }
        self.desk.tell(Event::Began {
            epoch: planned.table.epoch(),
            buckets: planned.moves.len(),
        });
        self.change = Some(Changing::new(planned, joins, &mut self.desk));
        self.store();
        if joins.is_none() {
            self.aim();
        }
        Ok(())
    }

    /// The table to which buckets move.
    pub(super) fn target(&self) -> &Table {
        match &self.change {
            Some(change) if matches!(change.stage, Stage::Moving) => &change.table,
            _ => &self.table,
        }
    }

    /// Buckets move from now on: after a restart the change goes on.
    pub(super) fn commit(&mut self) {
        if let Some(change) = &mut self.change
            && matches!(change.stage, Stage::Moving)
            && !change.begun
        {
            change.begun = true;
            self.store();
        }
    }

    /// Lets the change go on, ends it, or gives it up.
    pub(super) fn carry_on(&mut self) {
        let settled = self.is_settled();
        let id = self.id;
        let Some(change) = &mut self.change else {
            return;
        };
        match &mut change.stage {
            Stage::Joining { pair, way } => {
                let pair = *pair;
                way.press(&mut self.desk, id);
                if way.is_through() && self.pairs.health(pair) == Health::Up {
                    if let Some(joined) = self.pairs.all.get_mut(&pair) {
                        joined.belong(&self.desk);
                    }
                    change.advanced(&self.desk);
                    change.stage = Stage::Moving;
                    self.aim();
                    self.advance();
                } else if change.is_stuck(&mut self.desk) {
                    let refusal = Refusal::NoWay {
                        name: name(&change.table, pair),
                        within_ms: self.desk.settings.join_time.as_millis() as u64,
                    };
                    self.end(Err(refusal));
                }
            }
            Stage::Moving if settled => {
                self.table = change.table.clone();
                self.id = change.id;
                let outcome = change.outcome(&self.desk);
                self.end(Ok(outcome));
            }
            Stage::Moving => {
                if change.is_stuck(&mut self.desk) {
                    let within_ms = self.desk.settings.join_time.as_millis() as u64;
                    let silent = Refusal::PeerSilent { within_ms };
                    let why = change.trouble.take().unwrap_or(silent);
                    change.advanced(&self.desk);
                    change.stage = Stage::Reverting(why);
                    self.aim();
                }
            }
            Stage::Reverting(why) => {
                let why = why.clone();
                if settled || change.is_stuck(&mut self.desk) {
                    self.end(Err(why));
                }
            }
        }
    }

    fn end(&mut self, how: Result<super::Outcome, Refusal>) {
        self.change = None;
        self.aim();
        self.forget();
        self.store();
        self.desk.out.push_back(Output::Done(how));
    }

    /// Forgets pairs that are in no table and have nothing left to do.
    pub(super) fn forget(&mut self) {
        let known = |table: &Table, pair: &Ordinal| table.pair(*pair).is_some();
        let planned = self.change.as_ref().map(|change| &change.table);
        let in_use = self.in_use();
        let to: Vec<Ordinal> = self.batches.iter().map(|batch| batch.to).collect();
        self.pairs.all.retain(|pair, _| {
            known(&self.table, pair)
                || planned.is_some_and(|planned| known(planned, pair))
                || in_use.contains(pair)
                || to.contains(pair)
        });
    }

    fn store(&mut self) {
        self.desk.out.push_back(Output::Store(State {
            table: self.table.clone(),
            under_way: self.change.as_ref().map(Changing::under_way),
        }));
    }
}

impl Changing {
    /// A gateway did not hold in time.
    pub(super) fn not_held(&mut self, pair: Ordinal, desk: &super::desk::Desk) {
        self.trouble = Some(Refusal::NotHeld {
            name: name(&self.table, pair),
            within_ms: desk.settings.hold_time.as_millis() as u64,
        });
    }
}

fn name(table: &Table, pair: Ordinal) -> String {
    match table.pair(pair) {
        Some(member) => member.name.clone(),
        None => format!("gateway {}", pair.0),
    }
}
