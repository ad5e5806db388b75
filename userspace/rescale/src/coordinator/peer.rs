//! The peer's demux: its table, and what it asks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::desk::{Ask, Desk, REPEAT};
use super::pairs::Pairs;
use super::{Event, Refusal};
use crate::Ordinal;
use crate::message::{Marker, PeerWord, Reply, Request, TableId};

#[derive(Debug, Default)]
pub(super) struct Peer {
    table: Option<Heard>,
    told: Option<(TableId, TableId)>,
    wants: BTreeMap<Ordinal, Want>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    table: TableId,
    /// When the marker was sent that it answers: what is older is no news.
    sent: Duration,
    at: Duration,
}

/// What the peer asks of the own gateway of a pair: a fence, or that it is lifted.
#[derive(Debug)]
struct Want {
    id: u64,
    /// The one before, which may still come late by another way.
    before: Option<u64>,
    fence: bool,
    ask: Option<Ask>,
    silent: bool,
}

impl Peer {
    /// The peer's table, as last heard.
    pub fn table(&self) -> Option<TableId> {
        self.table.map(|heard| heard.table)
    }

    /// The peer's table came with the echo of a marker that was sent at `sent`.
    pub fn heard(&mut self, table: TableId, sent: Duration, now: Duration) {
        if self.table.is_none_or(|heard| heard.sent <= sent) {
            self.table = Some(Heard {
                table,
                sent,
                at: now,
            });
        }
    }

    /// Whether the peer's table is none that follows from ours or leads to it.
    pub fn differs(&self, own: TableId, planned: Option<TableId>) -> bool {
        self.table().is_some_and(|peer| {
            peer != own && Some(peer) != planned && !follows(peer, own) && !follows(own, peer)
        })
    }

    /// Tells of tables that differ, once.
    pub fn compare(&mut self, own: TableId, planned: Option<TableId>, desk: &mut Desk) {
        match self.table() {
            Some(peer) if self.differs(own, planned) => {
                if self.told != Some((peer, own)) {
                    self.told = Some((peer, own));
                    desk.tell(Event::TablesDiffer { peer, own });
                }
            }
            _ => self.told = None,
        }
    }

    /// Whether a change from `own` to `planned` may begin.
    pub fn allows(&self, own: TableId, planned: TableId, desk: &Desk) -> Result<(), Refusal> {
        let within = desk.settings.dead_after;
        let heard = self.table.filter(|heard| heard.at + within >= desk.now);
        let Some(Heard { table: peer, .. }) = heard else {
            let within_ms = within.as_millis() as u64;
            return Err(Refusal::PeerSilent { within_ms });
        };
        let (peer_epoch, own_epoch) = (peer.epoch, own.epoch);
        if peer == own || peer == planned {
            Ok(())
        } else if follows(peer, own) {
            Err(Refusal::PeerWentElsewhere { peer: peer_epoch })
        } else if follows(own, peer) {
            Err(Refusal::PeerBehind {
                peer: peer_epoch,
                own: own_epoch,
            })
        } else {
            Err(Refusal::TablesDiffer {
                peer: peer_epoch,
                own: own_epoch,
            })
        }
    }

    /// Answers a marker of the peer's through its own pair, so that it is the pair's two ways that
    /// it measures; through another one only if this demux has no such pair yet.
    pub fn echo(marker: Marker, table: TableId, pairs: &mut Pairs, desk: &mut Desk) {
        let through = match pairs.all.contains_key(&marker.pair) {
            true => Some(marker.pair),
            false => pairs.carrier(None),
        };
        if let Some(through) = through {
            desk.carry(through, PeerWord::Echo { marker, table });
        }
    }

    /// The peer wants a fence set or lifted.
    pub fn wants(
        &mut self,
        id: u64,
        pair: Ordinal,
        fence: bool,
        pairs: &mut Pairs,
        desk: &mut Desk,
    ) {
        if !pairs.all.contains_key(&pair) {
            // Nobody there to ask, and nobody who would say that it is fenced.
            self.wants.remove(&pair);
            let word = word(id, pair, fence, true);
            if let Some(carrier) = pairs.carrier(Some(pair)) {
                desk.carry(carrier, word);
            }
            return;
        }
        if let Some(want) = self.wants.get(&pair) {
            if want.id == id && (want.ask.is_none() || want.silent) {
                want.answer(pair, pairs, desk);
            }
            if want.id == id || want.before == Some(id) {
                return;
            }
        }
        let want = Want {
            id,
            before: self.wants.get(&pair).map(|want| want.id),
            fence,
            ask: Some(desk.ask()),
            silent: false,
        };
        self.wants.insert(pair, want);
    }

    /// Asks gateways for what the peer wants.
    pub fn tend(&mut self, pairs: &mut Pairs, desk: &mut Desk) {
        self.wants.retain(|pair, _| pairs.all.contains_key(pair));
        for (&pair, want) in &mut self.wants {
            // What is asked of it before would be undone by the reset.
            let is_reset = pairs.all.get(&pair).is_some_and(|pair| pair.is_reset());
            let Some(mut ask) = want.ask else { continue };
            if want.fence && !want.silent && desk.past(ask.since + desk.settings.fence_time) {
                want.silent = true;
                want.answer(pair, pairs, desk);
            }
            // A gateway that only stood still is to find the fence when it goes on.
            let every = match want.silent {
                true => desk.settings.probe_interval,
                false => REPEAT,
            };
            if is_reset && desk.due(&mut ask, every) {
                let request = match want.fence {
                    true => Request::Fence,
                    false => Request::Lift,
                };
                desk.say(pair, ask.id, request);
            }
            want.ask = Some(ask);
        }
    }

    /// A gateway's answer, if it is one to this.
    pub fn answered(
        &mut self,
        pair: Ordinal,
        id: u64,
        reply: &Reply,
        pairs: &mut Pairs,
        desk: &mut Desk,
    ) {
        let Some(want) = self.wants.get_mut(&pair) else {
            return;
        };
        let done = match reply {
            Reply::Fenced => want.fence,
            Reply::Lifted => !want.fence,
            _ => false,
        };
        if done && want.ask.is_some_and(|ask| ask.id == id) {
            (want.ask, want.silent) = (None, false);
            want.answer(pair, pairs, desk);
        }
    }
}

impl Want {
    fn answer(&self, pair: Ordinal, pairs: &mut Pairs, desk: &mut Desk) {
        if let Some(carrier) = pairs.carrier(Some(pair)) {
            desk.carry(carrier, word(self.id, pair, self.fence, self.silent));
        }
    }
}

fn word(id: u64, pair: Ordinal, fence: bool, silent: bool) -> PeerWord {
    match fence {
        true => PeerWord::Fenced { id, pair, silent },
        false => PeerWord::Lifted { id, pair },
    }
}

/// Whether `after` is a table of the epoch after `before`'s.
fn follows(after: TableId, before: TableId) -> bool {
    Some(after.epoch) == before.epoch.checked_add(1) && after.before == before.digest
}
