//! The peer's demux: the table that it reports, and the fences that it requests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::{Context, PendingRequest, RESEND_AFTER};
use super::io::{Event, Refusal};
use super::pairs::Pairs;
use crate::change::Ordinal;
use crate::message::{Marker, PeerMessage, Reply, Request, TableId};

#[derive(Debug, Default)]
pub(super) struct Peer {
    table: Option<ReportedTable>,
    reported: Option<(TableId, TableId)>,
    fence_requests: BTreeMap<Ordinal, FenceRequest>,
    /// The time of the peer's last message.
    heard: Duration,
}

#[derive(Clone, Copy, Debug)]
struct ReportedTable {
    table: TableId,
    /// When the marker of this echo was sent. Echoes of older markers are ignored.
    sent: Duration,
    at: Duration,
}

/// The peer's request to fence this VPC's gateway of a pair, or to lift the fence.
#[derive(Debug)]
struct FenceRequest {
    id: u64,
    /// The id of the request before, which may still arrive late through another pair.
    previous: Option<u64>,
    fence: bool,
    pending: Option<PendingRequest>,
    silent: bool,
}

impl Peer {
    /// The peer's table, as last reported.
    pub fn table(&self) -> Option<TableId> {
        self.table.map(|reported| reported.table)
    }

    /// A message of the peer has arrived.
    pub fn record_message(&mut self, now: Duration) {
        self.heard = now;
    }

    /// Time during which the coordinator was not scheduled does not count as the peer's silence.
    pub fn exclude_pause(&mut self, late: Duration) {
        self.heard += late;
    }

    /// Lifts the fences of a peer that has been silent for so long that no packet from before them is left. A peer that was
    /// restarted does not know them, and if every pair is fenced, nothing that it sends arrives.
    fn lift_fences_of_silent_peer(&mut self, context: &mut Context) {
        let settings = &context.settings;
        let lease = 2 * (settings.hold_time + settings.dead_after);
        let fences = self.fence_requests.values_mut();
        for request in fences.filter(|request| request.fence) {
            if context.reached(self.heard + lease) {
                request.fence = false;
                request.silent = false;
                request.pending = Some(context.request());
            }
        }
    }

    /// Records the table in the echo of a marker that was sent at `sent`.
    pub fn record_table(&mut self, table: TableId, sent: Duration, now: Duration) {
        if self.table.is_none_or(|reported| reported.sent <= sent) {
            self.table = Some(ReportedTable {
                table,
                sent,
                at: now,
            });
        }
    }

    /// Whether the peer's table is neither `own` nor `planned`, nor the predecessor or successor of `own`.
    pub fn differs(&self, own: TableId, planned: Option<TableId>) -> bool {
        self.table().is_some_and(|peer| {
            peer != own && Some(peer) != planned && !follows(peer, own) && !follows(own, peer)
        })
    }

    /// Reports tables that differ, once per difference.
    pub fn report_difference(
        &mut self,
        own: TableId,
        planned: Option<TableId>,
        context: &mut Context,
    ) {
        match self.table() {
            Some(peer) if self.differs(own, planned) => {
                if self.reported != Some((peer, own)) {
                    self.reported = Some((peer, own));
                    context.notify(Event::TablesDiffer { peer, own });
                }
            }
            _ => self.reported = None,
        }
    }

    /// Whether a change from `own` to `planned` may begin.
    pub fn check_change(
        &self,
        own: TableId,
        planned: TableId,
        context: &Context,
    ) -> Result<(), Refusal> {
        let within = context.settings.dead_after;
        let recent = self
            .table
            .filter(|reported| reported.at + within >= context.now);
        let Some(ReportedTable { table: peer, .. }) = recent else {
            let within_ms = within.as_millis() as u64;
            return Err(Refusal::PeerSilent { within_ms });
        };
        let (peer_epoch, own_epoch) = (peer.epoch, own.epoch);
        if peer == own || peer == planned {
            Ok(())
        } else if follows(peer, own) {
            Err(Refusal::PeerDiverged { peer: peer_epoch })
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

    /// Answers a marker of the peer through the marker's own pair, so that the round trip measures both
    /// directions of that pair. Another pair is used only if this demux does not have the pair yet.
    pub fn send_echo(marker: Marker, table: TableId, pairs: &mut Pairs, context: &mut Context) {
        let through = match pairs.all.contains_key(&marker.pair) {
            true => Some(marker.pair),
            false => pairs.relay(None),
        };
        if let Some(through) = through {
            context.send_to_peer(through, PeerMessage::Echo { marker, table });
        }
    }

    /// The peer requests to set a fence or to lift it.
    pub fn receive_fence_request(
        &mut self,
        id: u64,
        pair: Ordinal,
        fence: bool,
        pairs: &mut Pairs,
        context: &mut Context,
    ) {
        if !pairs.all.contains_key(&pair) {
            // This VPC has no gateway of the pair, so none can confirm the fence.
            self.fence_requests.remove(&pair);
            let answer = fence_answer(id, pair, fence, true);
            if let Some(relay) = pairs.relay(Some(pair)) {
                context.send_to_peer(relay, answer);
            }
            return;
        }
        // A fence that was lifted because the peer was silent is set again if the peer still wants it.
        let known = self.fence_requests.get(&pair);
        if let Some(request) = known.filter(|request| request.id != id || request.fence == fence) {
            if request.id == id && (request.pending.is_none() || request.silent) {
                request.answer(pair, pairs, context);
            }
            if request.id == id || request.previous == Some(id) {
                return;
            }
        }
        let request = FenceRequest {
            id,
            previous: self.fence_requests.get(&pair).map(|request| request.id),
            fence,
            pending: Some(context.request()),
            silent: false,
        };
        self.fence_requests.insert(pair, request);
    }

    /// Sends the peer's requests to the gateways when they are due.
    pub fn tick(&mut self, pairs: &mut Pairs, context: &mut Context) {
        self.fence_requests
            .retain(|pair, _| pairs.all.contains_key(pair));
        self.lift_fences_of_silent_peer(context);
        for (&pair, request) in &mut self.fence_requests {
            // The reset would undo an earlier request.
            let is_reset = pairs.all.get(&pair).is_some_and(|pair| pair.is_reset());
            let Some(mut pending) = request.pending else {
                continue;
            };
            if request.fence
                && !request.silent
                && context.reached(pending.since + context.settings.fence_time)
            {
                request.silent = true;
                request.answer(pair, pairs, context);
            }
            // A gateway that was only stopped must receive the fence when it resumes.
            let every = match request.silent {
                true => context.settings.probe_interval,
                false => RESEND_AFTER,
            };
            if is_reset && context.due(&mut pending, every) {
                let command = match request.fence {
                    true => Request::Fence,
                    false => Request::Lift,
                };
                context.send(pair, pending.id, command);
            }
            request.pending = Some(pending);
        }
    }

    /// Processes a gateway's reply, if it answers a fence request.
    pub fn receive_reply(
        &mut self,
        pair: Ordinal,
        id: u64,
        reply: &Reply,
        pairs: &mut Pairs,
        context: &mut Context,
    ) {
        let Some(request) = self.fence_requests.get_mut(&pair) else {
            return;
        };
        let done = match reply {
            Reply::Fenced => request.fence,
            Reply::Lifted => !request.fence,
            _ => false,
        };
        if done && request.pending.is_some_and(|pending| pending.id == id) {
            (request.pending, request.silent) = (None, false);
            request.answer(pair, pairs, context);
        }
    }
}

impl FenceRequest {
    fn answer(&self, pair: Ordinal, pairs: &mut Pairs, context: &mut Context) {
        if let Some(relay) = pairs.relay(Some(pair)) {
            context.send_to_peer(relay, fence_answer(self.id, pair, self.fence, self.silent));
        }
    }
}

fn fence_answer(id: u64, pair: Ordinal, fence: bool, silent: bool) -> PeerMessage {
    match fence {
        true => PeerMessage::Fenced { id, pair, silent },
        false => PeerMessage::Lifted { id, pair },
    }
}

/// Whether `after` is a direct successor of `before`.
fn follows(after: TableId, before: TableId) -> bool {
    Some(after.epoch) == before.epoch.checked_add(1) && after.before == before.digest
}
