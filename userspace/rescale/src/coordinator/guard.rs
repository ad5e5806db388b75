//! The proof that nothing is on the way through a pair any more that went before.

use causeway_steering::MAX_WORKERS;

use super::desk::{Ask, Desk, REPEAT};
use crate::Ordinal;
use crate::message::{Marker, Request, TableId};

/// A marker through a pair, from each of its gateway's workers. It proves that what had reached the
/// gateway before has left the peer's gateway.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub pair: Ordinal,
    /// When it was first sent is what it proves.
    pub ask: Ask,
    workers: u16,
    through: u64,
}

impl Guard {
    pub fn new(pair: Ordinal, desk: &mut Desk) -> Self {
        Self {
            pair,
            ask: desk.ask(),
            workers: 0,
            through: 0,
        }
    }

    /// Sends the marker, again and again.
    pub fn press(&mut self, desk: &mut Desk, table: TableId) {
        if desk.due(&mut self.ask, REPEAT) {
            mark(desk, self.pair, self.ask.id, table);
        }
    }

    /// Whether the marker is this one's.
    pub fn hear(&mut self, marker: &Marker) -> bool {
        let known = marker.id == self.ask.id && marker.pair == self.pair;
        if !known || marker.workers > MAX_WORKERS as u16 || marker.worker >= marker.workers {
            return false;
        }
        if self.workers != marker.workers {
            // Another gateway process, with other workers: all of them must speak.
            (self.workers, self.through) = (marker.workers, 0);
        }
        self.through |= 1 << marker.worker;
        true
    }

    /// Whether every worker's marker has come through.
    pub fn is_through(&self) -> bool {
        self.workers > 0 && self.through.count_ones() == u32::from(self.workers)
    }
}

/// Asks a pair's gateway to send a marker.
pub(super) fn mark(desk: &mut Desk, pair: Ordinal, id: u64, table: TableId) {
    let marker = Marker {
        id,
        pair,
        worker: 0,
        workers: 0,
        table,
    };
    let request = Request::Mark {
        from: desk.settings.own,
        to: desk.settings.peer,
        marker,
    };
    desk.say(pair, id, request);
}
