//! Finished packets that wait for the MAC address of their next hop.
//!
//! Bounded as a whole and per next hop, so that one silent neighbour cannot take the room of all,
//! nor all of them the device's frames. Whenever routes or neighbours change, every waiting packet
//! is looked at again before a new one is received: so what waits is always unresolved under the
//! snapshot in force, and no later packet can overtake it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use causeway_routes::{Lookup, Snapshot};

use crate::backlog::Outgoing;
use crate::deliver::Way;

/// Frames that wait in one worker.
pub(crate) const CAPACITY: usize = 256;
/// Frames that wait for one next hop.
const PER_HOP: usize = 32;
/// How long a packet waits at most. The kernel gives a neighbour up after three requests, one
/// second apart; a sender's own retransmission is due by then.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often control is asked for one next hop while packets wait for it.
const ASK_AGAIN: Duration = Duration::from_millis(250);

pub(crate) struct Waiting<F> {
    /// In the order of arrival, which is the order of deadlines.
    queue: VecDeque<Entry<F>>,
    hops: Vec<Hop>,
    /// How many have ever come.
    count: u64,
}

struct Entry<F> {
    outgoing: Outgoing<F>,
    destination: IpAddr,
    hop: IpAddr,
    deadline: Instant,
    /// The tunnel that brought it, if one did.
    opened: Option<usize>,
    /// How many had come before it.
    number: u64,
}

struct Hop {
    address: IpAddr,
    frames: usize,
    asked: Option<Instant>,
}

impl<F> Waiting<F> {
    pub(crate) fn new() -> Self {
        Self {
            queue: VecDeque::with_capacity(CAPACITY),
            hops: Vec::with_capacity(CAPACITY),
            count: 0,
        }
    }

    /// Lends the content out; what is left in place has no room of its own.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            queue: std::mem::take(&mut self.queue),
            hops: std::mem::take(&mut self.hops),
            count: self.count,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether `frames` more may wait for `hop`.
    pub(crate) fn has_room(&self, hop: IpAddr, frames: usize) -> bool {
        let waiting = self.hop(hop).map_or(0, |hop| hop.frames);
        waiting + frames <= PER_HOP && self.queue.len() + frames <= CAPACITY
    }

    /// Lets a frame go its `way` when `hop` is known, where [`Waiting::has_room`] said so.
    pub(crate) fn push(&mut self, outgoing: Outgoing<F>, way: Way, hop: IpAddr, now: Instant) {
        self.add(hop);
        self.queue.push_back(Entry {
            outgoing,
            destination: way.destination,
            hop,
            deadline: now + PATIENCE,
            opened: way.opened,
            number: self.count,
        });
        self.count += 1;
    }

    /// How many have ever come.
    pub(crate) fn arrived(&self) -> u64 {
        self.count
    }

    /// Whether one of the first `count` that have come is here that `tunnel` brought.
    pub(crate) fn has_opened(&self, tunnel: usize, count: u64) -> bool {
        let of_it = |entry: &Entry<F>| entry.opened == Some(tunnel) && entry.number < count;
        self.queue.iter().any(of_it)
    }

    /// Gives up those of the first `count` that `tunnel` brought.
    pub(crate) fn give_up(&mut self, tunnel: usize, count: u64, mut drop: impl FnMut(Outgoing<F>)) {
        for _ in 0..self.queue.len() {
            let Some(entry) = self.queue.pop_front() else {
                return;
            };
            if entry.opened == Some(tunnel) && entry.number < count {
                self.discount(entry.hop);
                drop(entry.outgoing);
            } else {
                self.queue.push_back(entry);
            }
        }
    }

    /// Calls `ask` for each next hop that is due to be asked for. `ask` says whether it could.
    pub(crate) fn ask(&mut self, now: Instant, mut ask: impl FnMut(IpAddr) -> bool) {
        for hop in &mut self.hops {
            let due = hop
                .asked
                .is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AGAIN);
            if due && ask(hop.address) {
                hop.asked = Some(now);
            }
        }
    }

    /// The next packet whose time is over.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Outgoing<F>> {
        if self.queue.front()?.deadline > now {
            return None;
        }
        self.pop()
    }

    /// The oldest packet, whether its time is over or not.
    pub(crate) fn pop(&mut self) -> Option<Outgoing<F>> {
        let entry = self.queue.pop_front()?;
        self.discount(entry.hop);
        Some(entry.outgoing)
    }

    /// Looks at every waiting packet again: `leave` takes those that need wait no longer, in
    /// order, with their new next hop, which is never [`Lookup::Unresolved`].
    pub(crate) fn review(&mut self, routes: &Snapshot, mut leave: impl FnMut(Lookup, Outgoing<F>)) {
        for _ in 0..self.queue.len() {
            let Some(mut entry) = self.queue.pop_front() else {
                return;
            };
            self.discount(entry.hop);
            match routes.lookup(entry.destination) {
                // Packets that move to another hop stay within the whole's bound; they may pass
                // that hop's own, once.
                Lookup::Unresolved(hop) => {
                    entry.hop = hop;
                    self.add(hop);
                    self.queue.push_back(entry);
                }
                known => leave(known, entry.outgoing),
            }
        }
    }

    fn hop(&self, address: IpAddr) -> Option<&Hop> {
        self.hops.iter().find(|hop| hop.address == address)
    }

    fn add(&mut self, address: IpAddr) {
        match self.hops.iter_mut().find(|hop| hop.address == address) {
            Some(hop) => hop.frames += 1,
            None => self.hops.push(Hop {
                address,
                frames: 1,
                asked: None,
            }),
        }
    }

    fn discount(&mut self, address: IpAddr) {
        if let Some(at) = self.hops.iter().position(|hop| hop.address == address) {
            self.hops[at].frames -= 1;
            if self.hops[at].frames == 0 {
                self.hops.swap_remove(at);
            }
        }
    }
}
