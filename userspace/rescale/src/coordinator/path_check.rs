//! The proof that all earlier packets have left a pair.

use causeway_steering::MAX_WORKERS;

use super::context::{Context, PendingRequest, RESEND_AFTER};
use crate::change::Ordinal;
use crate::message::{Marker, Request, TableId};

/// A marker through a pair from each worker of its gateway. When all markers have returned, every
/// packet that reached the gateway before has left the peer's gateway.
#[derive(Clone, Debug)]
pub(super) struct PathCheck {
    pub pair: Ordinal,
    /// The check covers packets before the time of this request.
    pub pending: PendingRequest,
    workers: u16,
    echoed: u64,
}

impl PathCheck {
    pub fn new(pair: Ordinal, context: &mut Context) -> Self {
        Self {
            pair,
            pending: context.request(),
            workers: 0,
            echoed: 0,
        }
    }

    /// Sends the request for the markers again, if it is due.
    pub fn resend(&mut self, context: &mut Context, table: TableId) {
        if context.due(&mut self.pending, RESEND_AFTER) {
            send_marker(context, self.pair, self.pending.id, table);
        }
    }

    /// Records an echo. Returns whether the marker belongs to this check.
    pub fn receive(&mut self, marker: &Marker) -> bool {
        let known = marker.id == self.pending.id && marker.pair == self.pair;
        if !known || marker.workers > MAX_WORKERS as u16 || marker.worker >= marker.workers {
            return false;
        }
        if self.workers != marker.workers {
            // The gateway has restarted with a different number of workers: all of them must answer.
            (self.workers, self.echoed) = (marker.workers, 0);
        }
        self.echoed |= 1 << marker.worker;
        true
    }

    /// Whether every worker's marker has returned.
    pub fn is_complete(&self) -> bool {
        self.workers > 0 && self.echoed.count_ones() == u32::from(self.workers)
    }
}

/// Requests a marker from a pair's gateway.
pub(super) fn send_marker(context: &mut Context, pair: Ordinal, id: u64, table: TableId) {
    let marker = Marker {
        id,
        pair,
        worker: 0,
        workers: 0,
        table,
    };
    let request = Request::Mark {
        from: context.settings.own,
        to: context.settings.peer,
        marker,
    };
    context.send(pair, id, request);
}
