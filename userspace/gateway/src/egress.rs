//! Egress: from a finished IP packet to the transmit queue, with next hop and Ethernet header.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_device::Device;
use causeway_routes::{Lookup, Snapshot};
use causeway_steering::headers::ETHERNET;
use causeway_steering::{Address, DropReason};

use crate::control::{Event, WorkerChannels};
use crate::ethernet;
use crate::io::Io;
use crate::next_hop::{NextHopCache, Route};
use crate::transmit::{Backlog, Origin, Outgoing};
use crate::waiting::{self, Waiting};

/// The interval of requests to control to confirm a next hop in use. Every busy neighbour appears in this sample
/// before long, and one request each is enough.
const CONFIRM: Duration = Duration::from_millis(100);

/// The routes in force, and the finished packets that have not left yet.
pub(crate) struct Egress<F> {
    /// The NIC's MAC address.
    pub(crate) mac: [u8; 6],
    pub(crate) routes: Arc<Snapshot>,
    pub(crate) next_hop: NextHopCache,
    /// A destination that this round has sent to.
    pub(crate) in_use: Option<IpAddr>,
    confirmed: Instant,
    pub(crate) waiting: Waiting<F>,
    pub(crate) backlog: Backlog<F>,
}

impl<F> Egress<F> {
    pub(crate) fn new(mac: [u8; 6], routes: Arc<Snapshot>, burst: usize, now: Instant) -> Self {
        Self {
            mac,
            routes,
            next_hop: NextHopCache::empty(),
            in_use: None,
            confirmed: now,
            waiting: Waiting::new(),
            // Two bursts with a second frame for each packet (a fragment, an ICMP error), and all packets that may wait
            // for a next hop.
            backlog: Backlog::with_capacity(4 * burst + waiting::CAPACITY),
        }
    }

    /// Looks up a destination in [`Egress::next_hop`], which keeps the result.
    #[inline(always)]
    pub(crate) fn lookup(&mut self, destination: Address) -> Result<(), Lookup> {
        self.next_hop.lookup(destination, &self.routes, self.mac)
    }

    /// Queues the IP packet of `length` octets, which is behind the room for an Ethernet header. It waits if its next
    /// hop is unresolved; [`Waiting::admit`] must have allowed that.
    #[inline]
    pub(crate) fn enqueue<D: Device<Frame = F>>(
        &mut self,
        mut frame: F,
        length: usize,
        origin: Origin,
        route: Route,
        now: Instant,
        io: &mut Io<D>,
    ) {
        io.device.set_len(&mut frame, ETHERNET + length);
        if let Origin::Received(_) = origin {
            io.totals.waiting += 1;
        }
        let outgoing = Outgoing { frame, origin };
        match route.hop {
            Lookup::Ready(mac) => {
                self.in_use = Some(route.destination);
                send(outgoing, self.mac, mac, &mut self.backlog, &io.device);
            }
            Lookup::Unresolved(hop) => self.waiting.push(outgoing, route, hop, now),
            Lookup::Unreachable => io.drop_outgoing(outgoing, DropReason::Unreachable),
        }
    }

    /// Replaces the snapshot, and sends or drops the packets that waited for it.
    pub(crate) fn replace_routes<D: Device<Frame = F>>(
        &mut self,
        routes: Arc<Snapshot>,
        io: &mut Io<D>,
    ) {
        self.next_hop = NextHopCache::empty();
        self.waiting.review(&routes, |hop, outgoing| match hop {
            Lookup::Ready(mac) => send(outgoing, self.mac, mac, &mut self.backlog, &io.device),
            Lookup::Unreachable | Lookup::Unresolved(_) => {
                io.drop_outgoing(outgoing, DropReason::Unreachable);
            }
        });
        self.routes = routes;
    }

    /// Drops the packets whose next hop was not resolved in time.
    #[inline]
    pub(crate) fn drop_expired<D: Device<Frame = F>>(&mut self, now: Instant, io: &mut Io<D>) {
        while let Some(outgoing) = self.waiting.pop_expired(now) {
            io.drop_outgoing(outgoing, DropReason::NeighbourUnresolved);
        }
    }

    /// Drops the packets from `tunnel` among the first `count` that ever waited for a next hop.
    pub(crate) fn drop_opened<D: Device<Frame = F>>(
        &mut self,
        tunnel: usize,
        count: u64,
        reason: DropReason,
        io: &mut Io<D>,
    ) {
        let drop = |outgoing| io.drop_outgoing(outgoing, reason);
        self.waiting.remove_opened(tunnel, count, drop);
    }

    /// Drops every packet that waits for a next hop.
    pub(crate) fn drop_waiting<D: Device<Frame = F>>(
        &mut self,
        reason: DropReason,
        io: &mut Io<D>,
    ) {
        while let Some(outgoing) = self.waiting.pop() {
            io.drop_outgoing(outgoing, reason);
        }
    }

    /// Drops every packet that waits for room in the transmit ring.
    pub(crate) fn drop_backlog<D: Device<Frame = F>>(
        &mut self,
        reason: DropReason,
        io: &mut Io<D>,
    ) {
        while let Some(outgoing) = self.backlog.pop() {
            io.drop_outgoing(outgoing, reason);
        }
    }

    /// Requests from control the MAC addresses that packets wait for, and at an interval one that is in use.
    pub(crate) fn request_neighbours(&mut self, now: Instant, channels: &WorkerChannels) {
        self.waiting
            .request(now, |hop| channels.notify(Event::Resolve(hop)));
        // None of this traffic passes the kernel's stack, so the kernel does not refresh a neighbour entry that existed before the worker.
        if let Some(destination) = self.in_use.take()
            && now.saturating_duration_since(self.confirmed) >= CONFIRM
            && let Some(hop) = self.routes.next_hop(destination)
        {
            channels.notify(Event::Resolve(hop));
            self.confirmed = now;
        }
    }
}

/// Puts a packet at the end of the backlog, addressed to the MAC address `to`.
#[inline]
fn send<D: Device>(
    mut outgoing: Outgoing<D::Frame>,
    from: [u8; 6],
    to: [u8; 6],
    backlog: &mut Backlog<D::Frame>,
    device: &D,
) {
    let room = device.room(&mut outgoing.frame);
    // The version field is that of the packet that leaves, inner or outer.
    let ipv6 = ethernet::carries_ipv6(room);
    ethernet::write(room, &ethernet::header(from, to, ipv6));
    backlog.push(outgoing);
}
