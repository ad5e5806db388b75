//! What must not be known before everything that a tunnel had brought until then has left or was
//! dropped: words of the peer's demux, and that the tunnel is fenced.
//!
//! A word may say that all packets of a bucket have come through this gateway pair, and then the
//! bucket's next packet comes through another one, which may know a host that ours still asks for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use causeway_device::Device;
use causeway_steering::headers::ETHERNET;
use causeway_steering::{Address, Drop};

use crate::backlog::Origin;
use crate::deliver::Way;
use crate::reply::{Refused, Reply};
use crate::word::Word;
use crate::worker::Worker;

/// Words at a time: two a probe for each of sixteen tunnels, and those of two probes.
const CAPACITY: usize = 64;
/// How long a word waits for a packet before it that waits for its next hop's MAC address, which
/// is dropped then. An answer takes a millisecond; without a bound, one host that is down would
/// make every pair look dead.
const PATIENCE: Duration = Duration::from_millis(50);

/// What stands behind packets that were opened before it.
pub(crate) struct Behind<F> {
    words: VecDeque<Entry<F>>,
    /// Those who are told of a fence when so many packets have gone from the backlog.
    fences: Vec<(u64, Reply)>,
}

struct Entry<F> {
    tunnel: usize,
    since: Instant,
    /// It came when so many packets had come to wait for a next hop.
    waiting: u64,
    /// None of those waits any more since so many packets had come into the backlog.
    backlog: Option<u64>,
    frame: F,
    length: usize,
    destination: Address,
    /// Whether it is for control, not for another host, to which it is sent like any packet.
    here: bool,
}

impl<F> Behind<F> {
    pub(crate) fn new() -> Self {
        Self {
            words: VecDeque::with_capacity(CAPACITY),
            fences: Vec::new(),
        }
    }

    /// How long the worker may sleep, if anything stands here.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (!self.is_empty()).then_some(PATIENCE)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.fences.is_empty()
    }
}

impl<D: Device> Worker<D> {
    /// Lets the word in `frame`, an inner packet of `length` octets, go behind what `tunnel` has
    /// brought.
    #[cold]
    pub(crate) fn follow(
        &mut self,
        frame: D::Frame,
        length: usize,
        destination: Address,
        tunnel: usize,
        now: Instant,
    ) {
        self.totals.waiting += 1;
        let entry = Entry {
            tunnel,
            since: now,
            waiting: self.waiting.arrived(),
            backlog: None,
            frame,
            length,
            destination,
            here: self.nic_addresses.contains(&destination),
        };
        if self.behind.words.len() == CAPACITY {
            self.drop_word(entry.frame, Drop::WordLost);
        } else {
            self.behind.words.push_back(entry);
        }
    }

    /// Opens nothing of a tunnel any more, or again. What it has brought and waits is dropped.
    pub(crate) fn fence(&mut self, tunnel: usize, fenced: bool, reply: Reply) {
        let Some(lane) = self.lanes.get_mut(tunnel) else {
            reply.send(Err(Refused::NoSuchTunnel { tunnel }));
            return;
        };
        lane.fenced = fenced;
        if !fenced {
            reply.send(Ok(()));
            return;
        }
        self.give_up(tunnel, u64::MAX, Drop::SaFenced);
        self.drop_words(Drop::SaFenced, Some(tunnel));
        self.behind.fences.push((self.backlog.arrived(), reply));
    }

    /// Sends on what has nothing to wait for but the backlog. Before the backlog is transmitted.
    #[inline]
    pub(crate) fn advance(&mut self, now: Instant) {
        if !self.behind.words.is_empty() {
            self.advance_words(now);
        }
    }

    #[cold]
    fn advance_words(&mut self, now: Instant) {
        for _ in 0..self.behind.words.len() {
            let Some(mut entry) = self.behind.words.pop_front() else {
                return;
            };
            if entry.backlog.is_none() && self.waiting.has_opened(entry.tunnel, entry.waiting) {
                if now.saturating_duration_since(entry.since) < PATIENCE {
                    self.behind.words.push_back(entry);
                    continue;
                }
                self.give_up(entry.tunnel, entry.waiting, Drop::NeighbourUnresolved);
            }
            if entry.here {
                entry.backlog.get_or_insert(self.backlog.arrived());
                self.behind.words.push_back(entry);
            } else {
                self.send_word(entry, now);
            }
        }
    }

    fn send_word(&mut self, entry: Entry<D::Frame>, now: Instant) {
        let destination = entry.destination.into();
        let way = Way {
            destination,
            hop: self.routes.lookup(destination),
            opened: Some(entry.tunnel),
        };
        match self.admit(way.hop, 1) {
            Ok(()) => {
                self.totals.waiting -= 1;
                let origin = Origin::Received(entry.since);
                self.deliver(entry.frame, entry.length, origin, way, now);
            }
            Err(reason) => self.drop_word(entry.frame, reason),
        }
    }

    /// Tells control what nothing stands before any more. After the backlog was transmitted.
    #[inline]
    pub(crate) fn tell(&mut self) {
        if !self.behind.is_empty() {
            self.tell_what_is_due();
        }
    }

    #[cold]
    fn tell_what_is_due(&mut self) {
        let gone = self.backlog.gone();
        self.behind.fences.retain(|(through, reply)| {
            let due = gone >= *through;
            if due {
                reply.send(Ok(()));
            }
            !due
        });
        for _ in 0..self.behind.words.len() {
            let Some(entry) = self.behind.words.pop_front() else {
                return;
            };
            if entry.backlog.is_some_and(|through| gone >= through) {
                self.give_word(entry);
            } else {
                self.behind.words.push_back(entry);
            }
        }
    }

    fn give_word(&mut self, mut entry: Entry<D::Frame>) {
        let packet = &self.device.room(&mut entry.frame)[ETHERNET..][..entry.length];
        let word = Word::new(entry.tunnel, packet);
        // A full channel loses it: demuxes say again what matters.
        if word.is_some_and(|word| self.port.words.try_send(word).is_ok()) {
            self.device.release(entry.frame);
            self.totals.waiting -= 1;
            self.totals.sent += 1;
            self.totals.words += 1;
        } else {
            self.drop_word(entry.frame, Drop::WordLost);
        }
    }

    /// Drops all words, or those that a tunnel brought.
    pub(crate) fn drop_words(&mut self, reason: Drop, of: Option<usize>) {
        for _ in 0..self.behind.words.len() {
            let Some(entry) = self.behind.words.pop_front() else {
                return;
            };
            if of.is_none_or(|tunnel| tunnel == entry.tunnel) {
                self.drop_word(entry.frame, reason);
            } else {
                self.behind.words.push_back(entry);
            }
        }
    }

    fn drop_word(&mut self, frame: D::Frame, reason: Drop) {
        self.device.release(frame);
        self.totals.waiting -= 1;
        self.totals.drops[reason] += 1;
    }

    /// Drops those of the first `count` packets that ever waited for a next hop which `tunnel`
    /// brought.
    fn give_up(&mut self, tunnel: usize, count: u64, reason: Drop) {
        let mut waiting = self.waiting.take();
        waiting.give_up(tunnel, count, |outgoing| self.discard(outgoing, reason));
        self.waiting = waiting;
    }
}
