//! Finished packets that wait for the MAC address of their next hop.
//!
//! The queue is bounded in total and per next hop, so that one silent neighbour cannot fill it and all of them together
//! cannot take all frames of the device. When the snapshot changes, every waiting packet is looked up again before the
//! next burst. So a waiting packet is always unresolved under the current snapshot, and no later packet overtakes it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use causeway_routes::{Lookup, Snapshot};
use causeway_steering::DropReason;

use crate::next_hop::Route;
use crate::transmit::Outgoing;

/// Packets that wait in one worker.
pub(crate) const CAPACITY: usize = 256;
/// Packets that wait for one next hop.
const PER_HOP: usize = 32;
/// The longest wait. The kernel gives up a neighbour after three requests at intervals of one second; by then a
/// sender's own retransmission is due.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The interval between two requests for one next hop while packets wait for it.
const REQUEST_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) struct Waiting<F> {
    /// In the order of arrival, which is the order of deadlines.
    queue: VecDeque<Entry<F>>,
    hops: Vec<Hop>,
    /// The number of packets ever queued.
    count: u64,
}

struct Entry<F> {
    outgoing: Outgoing<F>,
    destination: IpAddr,
    hop: IpAddr,
    deadline: Instant,
    /// The tunnel that the packet was received from, if it was opened.
    opened_from: Option<usize>,
    /// The number of packets queued before it.
    number: u64,
}

struct Hop {
    address: IpAddr,
    packets: usize,
    requested: Option<Instant>,
}

impl<F> Waiting<F> {
    pub(crate) fn new() -> Self {
        Self {
            queue: VecDeque::with_capacity(CAPACITY),
            hops: Vec::with_capacity(CAPACITY),
            count: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether `packets` more may leave towards `hop`, or wait for it.
    ///
    /// Checked before a packet is sealed, so that a packet without a route uses neither a sequence number nor the cipher.
    #[inline]
    pub(crate) fn admit(&self, hop: Lookup, packets: usize) -> Result<(), DropReason> {
        match hop {
            Lookup::Ready(_) => Ok(()),
            Lookup::Unresolved(hop) if self.has_room(hop, packets) => Ok(()),
            Lookup::Unresolved(_) => Err(DropReason::NeighbourQueueFull),
            Lookup::Unreachable => Err(DropReason::Unreachable),
        }
    }

    fn has_room(&self, hop: IpAddr, packets: usize) -> bool {
        let mut hops = self.hops.iter();
        let waiting = hops.find(|each| each.address == hop);
        waiting.map_or(0, |hop| hop.packets) + packets <= PER_HOP
            && self.queue.len() + packets <= CAPACITY
    }

    /// Queues a packet until `hop` is resolved. [`Waiting::admit`] must have allowed it.
    pub(crate) fn push(&mut self, outgoing: Outgoing<F>, route: Route, hop: IpAddr, now: Instant) {
        self.add_to(hop);
        self.queue.push_back(Entry {
            outgoing,
            destination: route.destination,
            hop,
            deadline: now + TIMEOUT,
            opened_from: route.opened_from,
            number: self.count,
        });
        self.count += 1;
    }

    /// The number of packets ever queued.
    pub(crate) fn queued(&self) -> u64 {
        self.count
    }

    /// Whether a packet from `tunnel` among the first `count` ever queued still waits.
    pub(crate) fn has_opened(&self, tunnel: usize, count: u64) -> bool {
        let matches = |entry: &Entry<F>| entry.opened_from == Some(tunnel) && entry.number < count;
        self.queue.iter().any(matches)
    }

    /// Removes the packets from `tunnel` among the first `count` ever queued.
    pub(crate) fn remove_opened(
        &mut self,
        tunnel: usize,
        count: u64,
        mut drop: impl FnMut(Outgoing<F>),
    ) {
        for _ in 0..self.queue.len() {
            let Some(entry) = self.queue.pop_front() else {
                return;
            };
            if entry.opened_from == Some(tunnel) && entry.number < count {
                self.remove_from(entry.hop);
                drop(entry.outgoing);
            } else {
                self.queue.push_back(entry);
            }
        }
    }

    /// Calls `request` for each next hop whose request is due. `request` returns whether it was sent.
    pub(crate) fn request(&mut self, now: Instant, mut request: impl FnMut(IpAddr) -> bool) {
        for hop in &mut self.hops {
            let due = hop
                .requested
                .is_none_or(|at| now.saturating_duration_since(at) >= REQUEST_INTERVAL);
            if due && request(hop.address) {
                hop.requested = Some(now);
            }
        }
    }

    /// Removes the oldest packet if its deadline has passed.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Outgoing<F>> {
        if self.queue.front()?.deadline > now {
            return None;
        }
        self.pop()
    }

    /// Removes the oldest packet.
    pub(crate) fn pop(&mut self) -> Option<Outgoing<F>> {
        let entry = self.queue.pop_front()?;
        self.remove_from(entry.hop);
        Some(entry.outgoing)
    }

    /// Looks up every packet again. `leave` takes those that need not wait any longer, in order, with their new next hop,
    /// which is never [`Lookup::Unresolved`].
    pub(crate) fn review(&mut self, routes: &Snapshot, mut leave: impl FnMut(Lookup, Outgoing<F>)) {
        for _ in 0..self.queue.len() {
            let Some(mut entry) = self.queue.pop_front() else {
                return;
            };
            self.remove_from(entry.hop);
            match routes.lookup(entry.destination) {
                // Packets that move to another hop stay within the total bound. They may exceed that hop's own bound once.
                Lookup::Unresolved(hop) => {
                    entry.hop = hop;
                    self.add_to(hop);
                    self.queue.push_back(entry);
                }
                resolved => leave(resolved, entry.outgoing),
            }
        }
    }

    fn add_to(&mut self, address: IpAddr) {
        match self.hops.iter_mut().find(|hop| hop.address == address) {
            Some(hop) => hop.packets += 1,
            None => self.hops.push(Hop {
                address,
                packets: 1,
                requested: None,
            }),
        }
    }

    fn remove_from(&mut self, address: IpAddr) {
        if let Some(at) = self.hops.iter().position(|hop| hop.address == address) {
            self.hops[at].packets -= 1;
            if self.hops[at].packets == 0 {
                self.hops.swap_remove(at);
            }
        }
    }
}
