//! The kernel's state as last listed, and when to list it again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use rtnetlink::Handle;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::route::RouteMessage;
use tokio::sync::mpsc;
use tokio::time::{self, Instant, MissedTickBehavior};

use crate::error::RoutesError;
use crate::messages::{self, Neighbour};
use crate::netlink;
use crate::notice::{self, Outdated};
use crate::questions::Questions;
use crate::ranges::Hop;
use crate::retries::Retries;
use crate::snapshot::Snapshot;

type Messages = BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>;

/// How long the first notification of a burst waits for the rest of it.
const COALESCE: Duration = Duration::from_millis(3);

/// How often unconfirmed neighbours are confirmed.
const REFRESH: Duration = Duration::from_secs(3);

/// A neighbour that was asked for and is still unknown after this time is no longer refreshed.
/// The kernel gives up after three seconds by default.
const PATIENCE: Duration = Duration::from_secs(10);

/// Neighbours that are kept fresh at most; those asked for beyond are resolved only.
const MAX_KEPT: usize = 4096;

/// Notifications only say that this is out of date. The kernel does not announce every change
/// (see `notice`), so listing anew is the one way to be right; it also heals an overrun.
pub(crate) struct Mirror<P> {
    interface: u32,
    handle: Handle,
    /// The routes; its neighbours are none.
    routes: Snapshot,
    neighbours: Vec<Neighbour>,
    /// Gateways of routes through the interface.
    gateways: BTreeSet<IpAddr>,
    /// Neighbours that were asked for, with the time of the last request.
    kept: BTreeMap<IpAddr, Instant>,
    questions: Questions,
    retries: Retries,
    outdated: Outdated,
    outdated_since: Instant,
    published: Arc<Snapshot>,
    publish: P,
}

impl<P: FnMut(Arc<Snapshot>)> Mirror<P> {
    pub(crate) fn new(interface: u32, handle: Handle, publish: P) -> Self {
        Self {
            interface,
            questions: Questions::new(interface, handle.clone()),
            handle,
            routes: Snapshot::default(),
            neighbours: Vec::new(),
            gateways: BTreeSet::new(),
            kept: BTreeMap::new(),
            retries: Retries::default(),
            outdated: Outdated::ALL,
            outdated_since: Instant::now(),
            published: Arc::default(),
            publish,
        }
    }

    pub(crate) async fn publish_first(&mut self) -> Result<(), RoutesError> {
        self.list().await?;
        self.publish(self.snapshot());
        Ok(())
    }

    /// Runs until the sender of `wanted` is gone.
    pub(crate) async fn run(
        &mut self,
        mut notifications: Messages,
        mut wanted: mpsc::Receiver<IpAddr>,
    ) -> Result<(), RoutesError> {
        let mut refresh = time::interval_at(Instant::now() + REFRESH, REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let limit = wanted.max_capacity();
        let mut batch = Vec::new();
        loop {
            let settled = pin!(time::sleep_until(self.outdated_since + COALESCE));
            let due = self.retries.due();
            let again = pin!(time::sleep_until(due.unwrap_or_else(Instant::now)));
            tokio::select! {
                notification = notifications.next() => match notification {
                    Some(message) => self.note(message)?,
                    None => return Err(RoutesError::Closed),
                },
                () = settled, if self.outdated.any() => self.update().await?,
                count = wanted.recv_many(&mut batch, limit) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.resolve(batch.drain(..).collect()).await?;
                }
                () = again, if due.is_some() => self.retry().await?,
                _ = refresh.tick() => self.refresh().await?,
            }
        }
    }

    fn note(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) -> Result<(), RoutesError> {
        let outdated = match message.payload {
            NetlinkPayload::InnerMessage(message) => {
                if notice::removes(&message, self.interface) {
                    self.publish(Snapshot::default());
                    return Err(RoutesError::InterfaceRemoved(self.interface));
                }
                notice::outdated(&message, self.interface, &self.published)
            }
            NetlinkPayload::Overrun(_) => {
                tracing::warn!("netlink notifications were lost; listing everything again");
                Outdated::ALL
            }
            _ => Outdated::default(),
        };
        if !self.outdated.any() {
            self.outdated_since = Instant::now();
        }
        self.outdated = self.outdated.and(outdated);
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
        let outdated = std::mem::take(&mut self.outdated);
        if outdated.routes {
            self.list_routes().await?;
        }
        if outdated.neighbours {
            self.list_neighbours().await?;
        }
        Ok(())
    }

    async fn list_routes(&mut self) -> Result<(), RoutesError> {
        // Without a family the kernel lists every family's.
        let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        let listed = netlink::dump(&mut self.handle, request, "routes").await?;
        let routes = listed.iter().filter_map(|message| match message {
            RouteNetlinkMessage::NewRoute(route) => messages::route(route, self.interface),
            _ => None,
        });
        let routes: Vec<_> = routes.collect();
        let gateways = routes.iter().filter_map(|route| match route.hop {
            Hop::Gateway(gateway) => Some(gateway),
            Hop::OnLink | Hop::Unreachable => None,
        });
        self.gateways = gateways.collect();
        self.routes = Snapshot::of_routes(&routes);
        Ok(())
    }

    async fn list_neighbours(&mut self) -> Result<(), RoutesError> {
        let mut request = NeighbourMessage::default();
        request.attributes = vec![NeighbourAttribute::IfIndex(self.interface)];
        let request = RouteNetlinkMessage::GetNeighbour(request);
        let listed = netlink::dump(&mut self.handle, request, "neighbours").await?;
        let neighbours = listed.iter().filter_map(|message| match message {
            RouteNetlinkMessage::NewNeighbour(m) => messages::neighbour(m, self.interface),
            _ => None,
        });
        self.neighbours = neighbours.collect();
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let known = self.neighbours.iter();
        let known = known.filter_map(|n| n.mac.map(|mac| (n.address, mac)));
        self.routes.with_neighbours(known)
    }

    fn publish(&mut self, snapshot: Snapshot) {
        self.published = Arc::new(snapshot);
        (self.publish)(Arc::clone(&self.published));
    }

    async fn resolve(&mut self, wanted: BTreeSet<IpAddr>) -> Result<(), RoutesError> {
        let now = Instant::now();
        self.settle(now);
        for neighbour in wanted {
            if self.listed(neighbour).is_some_and(Neighbour::is_fixed) {
                continue;
            }
            self.questions.ask(neighbour).await?;
            if self.published.neighbour(neighbour).is_none() {
                self.retries.asked(neighbour, now);
            }
            if self.kept.len() < MAX_KEPT || self.kept.contains_key(&neighbour) {
                self.kept.insert(neighbour, now);
            }
        }
        Ok(())
    }

    /// Repeats requests that were lost, or whose answers were.
    async fn retry(&mut self) -> Result<(), RoutesError> {
        // An answer may be a notification that nobody has looked at yet.
        self.outdated.neighbours = true;
        self.update().await?;
        let now = Instant::now();
        self.settle(now);
        for neighbour in self.retries.take_due(now) {
            if self.listed(neighbour).is_some_and(Neighbour::is_awaited) {
                self.questions.stop(neighbour).await?;
            }
            self.questions.ask(neighbour).await?;
        }
        Ok(())
    }

    fn settle(&mut self, now: Instant) {
        let published = &self.published;
        self.retries
            .settle(now, |neighbour| published.neighbour(neighbour).is_some());
    }

    fn listed(&self, neighbour: IpAddr) -> Option<&Neighbour> {
        self.neighbours.iter().find(|n| n.address == neighbour)
    }

    /// Confirms what was asked for and has gone stale; the kernel sees none of our traffic, so
    /// it would not do so by itself. It could (NTF_EXT_MANAGED), but would go on after our end.
    async fn refresh(&mut self) -> Result<(), RoutesError> {
        self.outdated = Outdated::ALL;
        self.update().await?;
        let published = Arc::clone(&self.published);
        self.kept.retain(|address, asked| {
            published.neighbour(*address).is_some() || asked.elapsed() < PATIENCE
        });
        let in_use = |a: &IpAddr| self.kept.contains_key(a) || self.gateways.contains(a);
        let stale = self.neighbours.iter().filter(|n| n.is_stale());
        let stale: Vec<IpAddr> = stale.map(|n| n.address).filter(in_use).collect();
        for address in stale {
            self.questions.ask(address).await?;
        }
        Ok(())
    }
}
