use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;
use tokio::time::{self, Instant, MissedTickBehavior};

use crate::error::RoutesError;
use crate::messages::{self, Neighbour};
use crate::netlink::{self, Netlink};
use crate::ranges::{Hop, Ranges};
use crate::snapshot::Snapshot;

/// How long the first notification of a burst waits for the rest of it.
const COALESCE: Duration = Duration::from_millis(3);

/// How often unconfirmed neighbours are confirmed.
const REFRESH: Duration = Duration::from_secs(3);

/// A neighbour that was asked for and is still unknown after this time is no longer refreshed.
/// The kernel gives up after three seconds by default.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests that wait for the control thread, and neighbours that are kept fresh.
const MAX_REQUESTS: usize = 1024;
const MAX_KEPT: usize = 4096;

/// The caller's end of a running watch; cheap to clone.
#[derive(Debug, Clone)]
pub struct Watcher {
    requests: mpsc::Sender<Ipv4Addr>,
}

impl Watcher {
    /// Watches the routes and neighbours of the NIC with this index, in the network namespace of
    /// the calling thread.
    ///
    /// When this returns, `publish` has been called with the first snapshot. The future that
    /// comes with the watcher does the rest and must be polled, for instance spawned: it calls
    /// `publish` within a few milliseconds of a change. It ends with `Ok` after the last clone of
    /// the watcher is dropped, and otherwise only by an error.
    ///
    /// Call it within a tokio runtime that has I/O and time enabled; one thread is enough.
    ///
    /// # Errors
    /// [`RoutesError::NoSuchIndex`] if there is no such NIC; [`RoutesError::InterfaceRemoved`]
    /// from the future once it is gone, after a last snapshot that reaches nothing.
    pub async fn start(
        interface: u32,
        publish: impl FnMut(Arc<Snapshot>) + Send + 'static,
    ) -> Result<
        (
            Self,
            impl Future<Output = Result<(), RoutesError>> + Send + 'static,
        ),
        RoutesError,
    > {
        crate::interface::by_index(interface).await?;
        // Listen first, list then: a change in between is seen twice rather than never.
        let notifications = Netlink::for_notifications(&[
            MulticastGroup::Link,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
        ])?;
        let mut questions = Netlink::for_requests()?;
        let mut mirror = Mirror {
            interface,
            handle: questions.handle,
            ranges: Arc::default(),
            neighbours: Vec::new(),
            gateways: BTreeSet::new(),
            kept: BTreeMap::new(),
            pending: Pending::everything(),
            published: Arc::default(),
            publish,
        };
        tokio::select! {
            listed = mirror.list() => listed?,
            () = &mut questions.connection => return Err(RoutesError::Closed),
        }
        mirror.publish(mirror.snapshot());

        let (requests, wanted) = mpsc::channel(MAX_REQUESTS);
        let task = async move {
            // The handle is unused, but the connection ends when its last handle is dropped.
            let _listening = notifications.handle;
            tokio::select! {
                ended = mirror.run(notifications.unsolicited, questions.unsolicited, wanted) => ended,
                () = notifications.connection => Err(RoutesError::Closed),
                () = questions.connection => Err(RoutesError::Closed),
            }
        };
        Ok((Self { requests }, task))
    }

    /// Asks the kernel to resolve this neighbour by ARP, without waiting for it: a later snapshot
    /// has the answer. Asking again for one whose resolution failed starts it anew; asking for
    /// one that is known costs little.
    ///
    /// A neighbour once asked for is kept fresh as long as it answers, so ask at least once for
    /// each that matters even if it is known already. The gateways of routes are kept fresh
    /// without being asked for, but only once they are known.
    ///
    /// Returns false if too many requests wait for the control thread; ask again later.
    pub fn resolve(&self, neighbour: Ipv4Addr) -> bool {
        self.requests.try_send(neighbour).is_ok()
    }
}

/// What has to be listed again, and since when that is known.
struct Pending {
    routes: bool,
    neighbours: bool,
    since: Instant,
}

impl Pending {
    fn everything() -> Self {
        Self {
            routes: true,
            neighbours: true,
            since: Instant::now(),
        }
    }

    fn add(&mut self, routes: bool, neighbours: bool) {
        if !self.any() {
            self.since = Instant::now();
        }
        self.routes |= routes;
        self.neighbours |= neighbours;
    }

    fn any(&self) -> bool {
        self.routes || self.neighbours
    }
}

/// The kernel's state as last listed. Notifications only say that it is out of date: the kernel
/// drops routes of a NIC that goes down without a word about each, so listing anew is the one
/// way to be right, and it also heals what an overrun of the socket lost.
struct Mirror<P> {
    interface: u32,
    handle: Handle,
    ranges: Arc<Ranges>,
    neighbours: Vec<Neighbour>,
    /// Gateways of routes through the interface.
    gateways: BTreeSet<Ipv4Addr>,
    /// Neighbours that were asked for, with the time of the last request.
    kept: BTreeMap<Ipv4Addr, Instant>,
    pending: Pending,
    published: Arc<Snapshot>,
    publish: P,
}

impl<P: FnMut(Arc<Snapshot>)> Mirror<P> {
    async fn run(
        &mut self,
        mut notifications: BoxStream<'_, NetlinkMessage<RouteNetlinkMessage>>,
        mut refusals: BoxStream<'_, NetlinkMessage<RouteNetlinkMessage>>,
        mut wanted: mpsc::Receiver<Ipv4Addr>,
    ) -> Result<(), RoutesError> {
        let mut refresh = time::interval_at(Instant::now() + REFRESH, REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            let settled = pin!(time::sleep_until(self.pending.since + COALESCE));
            tokio::select! {
                notification = notifications.next() => match notification {
                    Some(message) => self.note(message)?,
                    None => return Err(RoutesError::Closed),
                },
                () = settled, if self.pending.any() => self.update().await?,
                count = wanted.recv_many(&mut batch, MAX_REQUESTS) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.resolve(batch.drain(..).collect())?;
                }
                _ = refresh.tick() => self.refresh().await?,
                refusal = refusals.next() => match refusal {
                    Some(message) => log_refusal(&message),
                    None => return Err(RoutesError::Closed),
                },
            }
        }
    }

    fn note(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) -> Result<(), RoutesError> {
        use RouteNetlinkMessage::*;
        let message = match message.payload {
            NetlinkPayload::InnerMessage(message) => message,
            NetlinkPayload::Overrun(_) => {
                tracing::warn!("netlink notifications were lost; listing routes and neighbours");
                self.pending.add(true, true);
                return Ok(());
            }
            _ => return Ok(()),
        };
        match message {
            // A bridge announces a port that leaves it in the same way, in its own family.
            DelLink(link)
                if link.header.index == self.interface
                    && link.header.interface_family == AddressFamily::Unspec =>
            {
                self.publish(Snapshot::default());
                return Err(RoutesError::InterfaceRemoved(self.interface));
            }
            NewLink(link) => {
                let ours = link.header.index == self.interface;
                self.pending.add(true, ours);
            }
            DelLink(_) | NewRoute(_) | DelRoute(_) | NewAddress(_) | DelAddress(_) => {
                self.pending.add(true, false);
            }
            // Entries flap between reachable and stale all the time; only a new answer matters.
            NewNeighbour(entry) => {
                if let Some(seen) = messages::neighbour(&entry, self.interface)
                    && seen.mac != self.published.neighbour(seen.address)
                {
                    self.pending.add(false, true);
                }
            }
            DelNeighbour(entry) => {
                if let Some(gone) = messages::neighbour(&entry, self.interface)
                    && self.published.neighbour(gone.address).is_some()
                {
                    self.pending.add(false, true);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn update(&mut self) -> Result<(), RoutesError> {
        self.list().await?;
        let snapshot = self.snapshot();
        if snapshot != *self.published {
            self.publish(snapshot);
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<(), RoutesError> {
        if std::mem::take(&mut self.pending.routes) {
            let mut request = RouteMessage::default();
            request.header.address_family = AddressFamily::Inet;
            let request = RouteNetlinkMessage::GetRoute(request);
            let listed = netlink::dump(&mut self.handle, request, "routes").await?;
            let routes = listed.iter().filter_map(|message| match message {
                RouteNetlinkMessage::NewRoute(route) => messages::route(route, self.interface),
                _ => None,
            });
            let routes: Vec<_> = routes.collect();
            self.gateways = routes
                .iter()
                .filter_map(|route| match route.hop {
                    Hop::Gateway(gateway) => Some(gateway),
                    Hop::OnLink | Hop::Unreachable => None,
                })
                .collect();
            self.ranges = Arc::new(Ranges::new(routes));
        }
        if std::mem::take(&mut self.pending.neighbours) {
            let mut request = NeighbourMessage::default();
            request.header.family = AddressFamily::Inet;
            request.attributes = vec![NeighbourAttribute::IfIndex(self.interface)];
            let request = RouteNetlinkMessage::GetNeighbour(request);
            let listed = netlink::dump(&mut self.handle, request, "neighbours").await?;
            let neighbours = listed.iter().filter_map(|message| match message {
                RouteNetlinkMessage::NewNeighbour(m) => messages::neighbour(m, self.interface),
                _ => None,
            });
            self.neighbours = neighbours.collect();
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let known = self.neighbours.iter();
        let known = known.filter_map(|n| n.mac.map(|mac| (n.address, mac)));
        Snapshot::from_ranges(Arc::clone(&self.ranges), known)
    }

    fn publish(&mut self, snapshot: Snapshot) {
        self.published = Arc::new(snapshot);
        (self.publish)(Arc::clone(&self.published));
    }

    fn resolve(&mut self, wanted: BTreeSet<Ipv4Addr>) -> Result<(), RoutesError> {
        let now = Instant::now();
        for neighbour in wanted {
            self.ask(neighbour)?;
            if self.kept.len() < MAX_KEPT || self.kept.contains_key(&neighbour) {
                self.kept.insert(neighbour, now);
            }
        }
        Ok(())
    }

    /// Confirms what was asked for and has gone stale; the kernel sees none of our traffic, so
    /// it would not do so by itself. It could (NTF_EXT_MANAGED), but would go on after our end.
    async fn refresh(&mut self) -> Result<(), RoutesError> {
        self.pending.add(false, true);
        self.update().await?;
        let published = Arc::clone(&self.published);
        self.kept.retain(|address, asked| {
            published.neighbour(*address).is_some() || asked.elapsed() < PATIENCE
        });
        let stale: Vec<Ipv4Addr> = self
            .neighbours
            .iter()
            .filter(|n| n.stale)
            .map(|n| n.address)
            .filter(|a| self.kept.contains_key(a) || self.gateways.contains(a))
            .collect();
        stale.into_iter().try_for_each(|address| self.ask(address))
    }

    /// As if a packet had been sent to the neighbour: NTF_USE starts a resolution unless one is
    /// under way or the answer is fresh, and NLM_F_CREATE makes the entry if there is none.
    fn ask(&mut self, neighbour: Ipv4Addr) -> Result<(), RoutesError> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = self.interface;
        message.header.flags = NeighbourFlags::Use;
        message.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet(
            neighbour,
        ))];
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewNeighbour(message));
        request.header.flags = NLM_F_REQUEST | NLM_F_CREATE;
        self.handle.notify(request).map_err(|_| RoutesError::Closed)
    }
}

/// Requests for neighbours ask for no answer, so only a refusal comes back.
fn log_refusal(message: &NetlinkMessage<RouteNetlinkMessage>) {
    if let NetlinkPayload::Error(error) = &message.payload {
        tracing::debug!("the kernel refused to resolve a neighbour: {error}");
    }
}
