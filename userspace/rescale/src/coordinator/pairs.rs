//! The gateway pairs: whether markers come through, and who is dead.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::death::Death;
use super::desk::{Ask, Desk, REPEAT};
use super::guard::mark;
use super::{Event, Health};
use crate::Ordinal;
use crate::message::{Marker, Reply, Request, TableId};

/// Probes of a pair that may be under way. Older ones count as lost.
const PROBES: usize = 64;
/// Probes that must come through a dead pair before it counts as up again.
const TO_RETURN: u32 = 3;

#[derive(Debug)]
pub(super) struct Pair {
    pub health: Health,
    pub death: Option<Death>,
    /// It has yet to prove its way: nobody misses it.
    joining: bool,
    pub round_trip: Option<Duration>,
    reset: Option<Ask>,
    next_probe: Duration,
    probes: VecDeque<(u64, Duration)>,
    /// When the last marker came back, or when it began to be waited for; later by what was not listened to since.
    silent_since: Duration,
    heard: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub all: BTreeMap<Ordinal, Pair>,
    /// When any pair was heard last, as for `silent_since`.
    heard: Option<Duration>,
    turn: usize,
}

impl Pair {
    /// Whether its gateway has let go what a former process of this demux had asked of it. What is
    /// asked before that would be let go with it.
    pub fn is_reset(&self) -> bool {
        self.reset.is_none()
    }

    /// Whether a marker came through so lately that more will.
    pub fn is_fresh(&self, desk: &Desk) -> bool {
        let long = desk.settings.dead_after / 2;
        self.health == Health::Up && self.heard.is_some_and(|at| at + long > desk.now)
    }

    /// It has proven its way, and is missed from now on.
    pub fn belong(&mut self, desk: &Desk) {
        self.joining = false;
        self.silent_since = desk.now;
    }

    fn tend(&mut self, ordinal: Ordinal, desk: &mut Desk, table: TableId) {
        if let Some(ask) = &mut self.reset
            && desk.due(ask, REPEAT)
        {
            desk.say(ordinal, ask.id, Request::Reset);
        }
        if desk.past(self.next_probe) {
            self.next_probe = desk.now + desk.settings.probe_interval;
            desk.past(self.next_probe);
            let id = desk.number();
            if self.probes.len() == PROBES {
                self.probes.pop_front();
            }
            self.probes.push_back((id, desk.now));
            mark(desk, ordinal, id, table);
        }
    }
}

impl Pairs {
    pub fn join(&mut self, ordinal: Ordinal, joining: bool, desk: &mut Desk) {
        let pair = Pair {
            health: Health::Unknown,
            death: None,
            joining,
            round_trip: None,
            reset: Some(desk.ask()),
            next_probe: desk.now,
            probes: VecDeque::new(),
            silent_since: desk.now,
            heard: None,
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

    /// A pair to speak to the peer's demux through, each time another one: those that work first,
    /// then those that may, then any: with nobody left, a word that gets through is the way back.
    pub fn carrier(&mut self, not: Option<Ordinal>) -> Option<Ordinal> {
        self.turn = self.turn.wrapping_add(1);
        let with = |health| {
            let fits = |(ordinal, pair): &(&Ordinal, &Pair)| {
                pair.health == health && Some(**ordinal) != not
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
    pub fn tend(&mut self, desk: &mut Desk, table: TableId) {
        for (&ordinal, pair) in &mut self.all {
            pair.tend(ordinal, desk, table);
        }
    }

    /// A gateway's answer, if it is one to a reset, to a probe, or to what a dead one is asked.
    pub fn answered(&mut self, ordinal: Ordinal, id: u64, reply: &Reply, now: Duration) {
        let Some(pair) = self.all.get_mut(&ordinal) else {
            return;
        };
        match reply {
            Reply::ResetDone if pair.reset.is_some_and(|ask| ask.id == id) => pair.reset = None,
            Reply::Sealed => {
                let probe = pair.probes.iter().find(|&&(probe, _)| probe == id);
                if let (Some(death), Some(&(_, sent))) = (&mut pair.death, probe) {
                    death.sealed(sent, now);
                }
            }
            Reply::Released { .. } | Reply::Refused { .. } => {
                if let Some(death) = &mut pair.death {
                    death.answered(id, now);
                }
            }
            _ => {}
        }
    }

    /// A marker came back. When it was sent, if it was a probe of which none had come back yet.
    pub fn echoed(&mut self, marker: &Marker, desk: &mut Desk) -> Option<Duration> {
        let pair = self.all.get_mut(&marker.pair)?;
        let at = pair.probes.iter().position(|&(id, _)| id == marker.id)?;
        let (_, sent) = pair.probes.remove(at)?;
        let took = desk.now.saturating_sub(sent);
        pair.round_trip = Some(took);
        if let Some(death) = &mut pair.death {
            death.echoes += 1;
        }
        desk.tell(Event::RoundTrip(marker.pair, took));
        self.alive(marker.pair, desk);
        Some(sent)
    }

    /// Something of ours has come back through a pair.
    pub fn alive(&mut self, ordinal: Ordinal, desk: &mut Desk) {
        let Some(pair) = self.all.get_mut(&ordinal) else {
            return;
        };
        if pair.health == Health::Dead {
            // It is no witness against others: nothing can go to it yet.
            return;
        }
        if pair.health == Health::Unknown {
            pair.health = Health::Up;
            desk.tell(Event::Health(ordinal, Health::Up));
        }
        if pair.joining {
            pair.heard = Some(desk.now);
            return;
        }
        let long = desk.settings.dead_after / 2;
        if self.heard.is_none_or(|heard| heard + long < desk.now) {
            // All were silent, so the peer's demux was away, or this one: nobody's silence counts.
            for pair in self.all.values_mut() {
                pair.silent_since = desk.now;
            }
        }
        self.heard = Some(desk.now);
        if let Some(pair) = self.all.get_mut(&ordinal) {
            (pair.silent_since, pair.heard) = (desk.now, Some(desk.now));
        }
    }

    /// For so long nobody could be heard, since the coordinator did not run: that is no silence of a pair, and no sign
    /// that all were silent.
    pub fn heard_nothing(&mut self, late: Duration) {
        for since in self.all.values_mut().map(|pair| &mut pair.silent_since) {
            *since += late;
        }
        if let Some(heard) = &mut self.heard {
            *heard += late;
        }
    }

    /// Judges who died and who is back. Whether the dead are others than before.
    pub fn judge(&mut self, desk: &mut Desk) -> bool {
        let (dead_after, heard) = (desk.settings.dead_after, self.heard);
        let mut changed = false;
        for (&ordinal, pair) in &mut self.all {
            let returned = pair
                .death
                .as_ref()
                .is_some_and(|death| death.echoes >= TO_RETURN && death.is_over());
            if returned {
                (pair.health, pair.death) = (Health::Up, None);
                (pair.silent_since, pair.heard) = (desk.now, Some(desk.now));
            } else if pair.health != Health::Dead
                && !pair.joining
                // Others are heard long after it, so it is the pair and not the peer's demux.
                && heard.is_some_and(|heard| heard > pair.silent_since + dead_after / 2)
                && desk.past(pair.silent_since + dead_after)
            {
                (pair.health, pair.death) = (Health::Dead, Some(Death::new(desk)));
            } else {
                continue;
            }
            changed = true;
            desk.tell(Event::Health(ordinal, pair.health));
        }
        changed
    }
}
