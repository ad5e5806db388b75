//! The gateway pairs: sends probes, and decides which pairs are up or dead.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::context::{Context, PendingRequest, RESEND_AFTER};
use super::dead::DeadState;
use super::io::{Event, Health};
use super::path_check::send_marker;
use crate::change::Ordinal;
use crate::message::{Marker, Reply, Request, TableId};

/// The most outstanding probes of a pair. Older probes count as lost.
const PROBES: usize = 64;
/// Probes that must return through a dead pair before it counts as up again.
const TO_RETURN: u32 = 3;

#[derive(Debug)]
pub(super) struct Pair {
    pub health: Health,
    pub dead: Option<DeadState>,
    /// The pair has not proven its path yet, so it cannot count as dead.
    joining: bool,
    pub round_trip: Option<Duration>,
    reset: Option<PendingRequest>,
    next_probe: Duration,
    probes: VecDeque<(u64, Duration)>,
    /// When the last marker returned, or when the wait for the first one began. Excludes time during
    /// which the coordinator did not run.
    silent_since: Duration,
    last_echo: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub all: BTreeMap<Ordinal, Pair>,
    /// When a marker last returned through any pair. Excludes the same time as `silent_since`.
    last_echo: Option<Duration>,
    turn: usize,
}

impl Pair {
    /// Whether the gateway has confirmed the reset. Requests before that would be undone by the reset.
    pub fn is_reset(&self) -> bool {
        self.reset.is_none()
    }

    /// Whether a marker returned recently enough to expect more.
    pub fn is_fresh(&self, context: &Context) -> bool {
        let long = context.settings.dead_after / 2;
        self.health == Health::Up && self.last_echo.is_some_and(|at| at + long > context.now)
    }

    /// The pair has proven its path. From now on it can count as dead.
    pub fn complete_join(&mut self, context: &Context) {
        self.joining = false;
        self.silent_since = context.now;
    }

    fn tick(&mut self, ordinal: Ordinal, context: &mut Context, table: TableId) {
        if let Some(pending) = &mut self.reset
            && context.due(pending, RESEND_AFTER)
        {
            context.send(ordinal, pending.id, Request::Reset);
        }
        if context.reached(self.next_probe) {
            self.next_probe = context.now + context.settings.probe_interval;
            context.reached(self.next_probe);
            let id = context.next_id();
            if self.probes.len() == PROBES {
                self.probes.pop_front();
            }
            self.probes.push_back((id, context.now));
            send_marker(context, ordinal, id, table);
        }
    }
}

impl Pairs {
    pub fn add(&mut self, ordinal: Ordinal, joining: bool, context: &mut Context) {
        let pair = Pair {
            health: Health::Unknown,
            dead: None,
            joining,
            round_trip: None,
            reset: Some(context.request()),
            next_probe: context.now,
            probes: VecDeque::new(),
            silent_since: context.now,
            last_echo: None,
        };
        self.all.entry(ordinal).or_insert(pair);
    }

    pub fn health(&self, ordinal: Ordinal) -> Health {
        self.all
            .get(&ordinal)
            .map_or(Health::Unknown, |pair| pair.health)
    }

    pub fn dead(&self) -> BTreeSet<Ordinal> {
        let dead =
            |(ordinal, pair): (&Ordinal, &Pair)| (pair.health == Health::Dead).then_some(*ordinal);
        self.all.iter().filter_map(dead).collect()
    }

    /// A pair for messages to the peer's demux, round-robin: pairs that are up, or else unknown ones,
    /// or else dead ones. If all are dead, such a message is the only way to recover.
    pub fn relay(&mut self, except: Option<Ordinal>) -> Option<Ordinal> {
        self.turn = self.turn.wrapping_add(1);
        let with = |health| {
            let fits = |(ordinal, pair): &(&Ordinal, &Pair)| {
                pair.health == health && Some(**ordinal) != except
            };
            let fitting: Vec<Ordinal> = self.all.iter().filter(fits).map(|(&o, _)| o).collect();
            let at = self.turn.checked_rem(fitting.len())?;
            Some(fitting[at])
        };
        with(Health::Up)
            .or_else(|| with(Health::Unknown))
            .or_else(|| with(Health::Dead))
    }

    /// Sends resets and probes that are due.
    pub fn tick(&mut self, context: &mut Context, table: TableId) {
        for (&ordinal, pair) in &mut self.all {
            pair.tick(ordinal, context, table);
        }
    }

    /// Processes a gateway's reply, if it answers a reset, a probe or a request to a dead pair.
    pub fn receive_reply(&mut self, ordinal: Ordinal, id: u64, reply: &Reply, now: Duration) {
        let Some(pair) = self.all.get_mut(&ordinal) else {
            return;
        };
        match reply {
            Reply::ResetDone if pair.reset.is_some_and(|pending| pending.id == id) => {
                pair.reset = None
            }
            Reply::Sealed => {
                let probe = pair.probes.iter().find(|&&(probe, _)| probe == id);
                if let (Some(dead), Some(&(_, sent))) = (&mut pair.dead, probe) {
                    dead.marker_sealed(sent, now);
                }
            }
            Reply::Released { .. } | Reply::Refused { .. } => {
                if let Some(dead) = &mut pair.dead {
                    dead.receive_reply(id, now);
                }
            }
            _ => {}
        }
    }

    /// Processes an echo. Returns when the probe was sent, if the echo is the first one of a probe.
    pub fn receive_echo(&mut self, marker: &Marker, context: &mut Context) -> Option<Duration> {
        let pair = self.all.get_mut(&marker.pair)?;
        let at = pair.probes.iter().position(|&(id, _)| id == marker.id)?;
        let (_, sent) = pair.probes.remove(at)?;
        let took = context.now.saturating_sub(sent);
        pair.round_trip = Some(took);
        if let Some(dead) = &mut pair.dead {
            dead.echoes += 1;
        }
        context.notify(Event::RoundTrip(marker.pair, took));
        self.record_alive(marker.pair, context);
        Some(sent)
    }

    /// Records that a marker of this demux has returned through a pair.
    pub fn record_alive(&mut self, ordinal: Ordinal, context: &mut Context) {
        let Some(pair) = self.all.get_mut(&ordinal) else {
            return;
        };
        if pair.health == Health::Dead {
            // A fenced pair shows nothing about the others, because it cannot carry packets yet.
            return;
        }
        if pair.health == Health::Unknown {
            pair.health = Health::Up;
            context.notify(Event::Health(ordinal, Health::Up));
        }
        if pair.joining {
            pair.last_echo = Some(context.now);
            return;
        }
        let long = context.settings.dead_after / 2;
        if self.last_echo.is_none_or(|last| last + long < context.now) {
            // All pairs were silent, so one of the two demuxes was down. This silence does not count
            // towards any pair's timeout.
            for pair in self.all.values_mut() {
                pair.silent_since = context.now;
            }
        }
        self.last_echo = Some(context.now);
        if let Some(pair) = self.all.get_mut(&ordinal) {
            (pair.silent_since, pair.last_echo) = (context.now, Some(context.now));
        }
    }

    /// Time during which the coordinator was not scheduled does not count towards peer timeouts.
    pub fn exclude_pause(&mut self, late: Duration) {
        for since in self.all.values_mut().map(|pair| &mut pair.silent_since) {
            *since += late;
        }
        if let Some(last) = &mut self.last_echo {
            *last += late;
        }
    }

    /// Decides which pairs died and which are back. Returns whether the set of dead pairs changed.
    pub fn update_health(&mut self, context: &mut Context) -> bool {
        let (dead_after, last_echo) = (context.settings.dead_after, self.last_echo);
        let mut changed = false;
        for (&ordinal, pair) in &mut self.all {
            let returned = pair
                .dead
                .as_ref()
                .is_some_and(|dead| dead.echoes >= TO_RETURN && dead.is_lifting());
            if returned {
                (pair.health, pair.dead) = (Health::Up, None);
                (pair.silent_since, pair.last_echo) = (context.now, Some(context.now));
            } else if pair.health != Health::Dead
                && !pair.joining
                // Other pairs returned markers long after this one, so the pair failed and not the
                // peer's demux.
                && last_echo.is_some_and(|last| last > pair.silent_since + dead_after / 2)
                && context.reached(pair.silent_since + dead_after)
            {
                (pair.health, pair.dead) = (Health::Dead, Some(DeadState::new(context)));
            } else {
                continue;
            }
            changed = true;
            context.notify(Event::Health(ordinal, pair.health));
        }
        changed
    }

    /// Advances the fences of dead pairs. `in_use`: packets may still go to the pair, or be on their
    /// way through it.
    pub fn fence_dead(&mut self, context: &mut Context, in_use: impl Fn(Ordinal) -> bool) {
        let dead: Vec<Ordinal> = self.dead().into_iter().collect();
        for ordinal in dead {
            let relay = self.relay(Some(ordinal));
            if let Some(dead) = self.dead_state(ordinal) {
                dead.step(ordinal, relay, in_use(ordinal), context);
            }
        }
    }

    /// The peer reported that it has fenced its gateway of a pair, or that the gateway is `silent`.
    pub fn receive_fenced(&mut self, id: u64, pair: Ordinal, silent: bool, context: &mut Context) {
        if let Some(dead) = self.dead_state(pair)
            && dead.receive_fenced(id, silent, context)
        {
            context.notify(Event::Fenced { pair, silent });
        }
    }

    /// The peer reported that it has lifted the fence.
    pub fn receive_lifted(&mut self, id: u64, pair: Ordinal) {
        if let Some(dead) = self.dead_state(pair) {
            dead.receive_lifted(id);
        }
    }

    fn dead_state(&mut self, pair: Ordinal) -> Option<&mut DeadState> {
        self.all.get_mut(&pair)?.dead.as_mut()
    }
}
