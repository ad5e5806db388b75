//! A mirror of the kernel's routes and neighbours, and the schedule of its updates.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use crate::notifications::{self, Outdated};
use crate::probes::Prober;
use crate::ranges::Hop;
use crate::retries::Retries;
use crate::snapshot::Snapshot;

type Messages = BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>;

/// Delay between the first notification of a burst and the update.
const COALESCE_DELAY: Duration = Duration::from_millis(3);

/// Delay after which lists are read again that the kernel could not send for lack of memory or descriptors.
const RECOVERY_DELAY: Duration = Duration::from_secs(1);

/// Interval between two probes of stale neighbours.
const REFRESH_INTERVAL: Duration = Duration::from_secs(3);

/// A requested neighbour that is unknown after this time is no longer refreshed. The kernel gives up after three
/// seconds by default.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of neighbours that are refreshed. Further neighbours are only resolved.
const MAX_REFRESHED: usize = 4096;

/// The last state read from the kernel. A notification only marks it as outdated.
///
/// The kernel does not announce every change (see `notifications`), so the mirror reads the whole list again. This
/// also repairs an overrun.
pub(crate) struct Mirror<P> {
    interface: u32,
    handle: Handle,
    /// A snapshot with the routes and without neighbours.
    routes: Snapshot,
    neighbours: Vec<Neighbour>,
    /// Gateways of routes through the interface.
    gateways: BTreeSet<IpAddr>,
    /// Requested neighbours that are refreshed, with the time of the last request.
    refreshed: BTreeMap<IpAddr, Instant>,
    prober: Prober,
    retries: Retries,
    outdated: Outdated,
    outdated_since: Instant,
    published: Arc<Snapshot>,
    publish: P,
    /// Transient errors of the kernel.
    errors: Arc<AtomicU64>,
}

impl<P: FnMut(Arc<Snapshot>)> Mirror<P> {
    pub(crate) fn new(interface: u32, handle: Handle, publish: P, errors: Arc<AtomicU64>) -> Self {
        Self {
            interface,
            prober: Prober::new(interface, handle.clone()),
            handle,
            routes: Snapshot::default(),
            neighbours: Vec::new(),
            gateways: BTreeSet::new(),
            refreshed: BTreeMap::new(),
            retries: Retries::default(),
            outdated: Outdated::ALL,
            outdated_since: Instant::now(),
            published: Arc::default(),
            publish,
            errors,
        }
    }

    pub(crate) async fn publish_first(&mut self) -> Result<(), RoutesError> {
        self.list().await?;
        self.publish(self.snapshot());
        Ok(())
    }

    /// Runs until every sender of `requests` is dropped.
    pub(crate) async fn run(
        &mut self,
        mut notifications: Messages,
        mut requests: mpsc::Receiver<IpAddr>,
    ) -> Result<(), RoutesError> {
        let mut refresh = time::interval_at(Instant::now() + REFRESH_INTERVAL, REFRESH_INTERVAL);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let limit = requests.max_capacity();
        let mut batch = Vec::new();
        loop {
            let coalesced = pin!(time::sleep_until(self.outdated_since + COALESCE_DELAY));
            let due = self.retries.next_due();
            let retry = pin!(time::sleep_until(due.unwrap_or_else(Instant::now)));
            let done = tokio::select! {
                notification = notifications.next() => match notification {
                    Some(message) => self.process_notification(message),
                    None => return Err(RoutesError::Closed),
                },
                () = coalesced, if self.outdated.any() => self.update().await,
                count = requests.recv_many(&mut batch, limit) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.resolve(batch.drain(..).collect()).await
                }
                () = retry, if due.is_some() => self.retry().await,
                _ = refresh.tick() => self.refresh().await,
            };
            match done {
                Err(error) if error.is_transient() => self.recover_later(&error),
                done => done?,
            }
        }
    }

    /// Keeps the published snapshot until the kernel can send its lists again.
    fn recover_later(&mut self, error: &RoutesError) {
        tracing::warn!("{error}; trying again in {RECOVERY_DELAY:?}");
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.outdated = Outdated::ALL;
        self.outdated_since = Instant::now() + RECOVERY_DELAY;
    }

    fn process_notification(
        &mut self,
        message: NetlinkMessage<RouteNetlinkMessage>,
    ) -> Result<(), RoutesError> {
        let outdated = match message.payload {
            NetlinkPayload::InnerMessage(message) => {
                if notifications::removes(&message, self.interface) {
                    self.publish(Snapshot::default());
                    return Err(RoutesError::InterfaceRemoved(self.interface));
                }
                notifications::outdated(&message, self.interface, &self.published)
            }
            NetlinkPayload::Overrun(_) => {
                tracing::warn!(
                    "netlink notifications were lost; reading all routes and neighbours again"
                );
                Outdated::ALL
            }
            _ => Outdated::default(),
        };
        if !self.outdated.any() {
            self.outdated_since = Instant::now();
        }
        self.outdated = self.outdated.union(outdated);
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
        // Without a family the kernel lists the routes of every family.
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

    async fn resolve(&mut self, neighbours: BTreeSet<IpAddr>) -> Result<(), RoutesError> {
        let now = Instant::now();
        self.remove_finished_retries(now);
        for neighbour in neighbours {
            if self.listed(neighbour).is_some_and(Neighbour::is_fixed) {
                continue;
            }
            self.prober.probe(neighbour).await?;
            if self.published.neighbour(neighbour).is_none() {
                self.retries.schedule(neighbour, now);
            }
            if self.refreshed.len() < MAX_REFRESHED || self.refreshed.contains_key(&neighbour) {
                self.refreshed.insert(neighbour, now);
            }
        }
        Ok(())
    }

    /// Repeats probes whose request or answer was lost.
    async fn retry(&mut self) -> Result<(), RoutesError> {
        let now = Instant::now();
        let due = self.retries.take_due(now);
        // A pending notification may already hold the answer.
        self.outdated.neighbours = true;
        self.update().await?;
        self.remove_finished_retries(now);
        for neighbour in due {
            if self.published.neighbour(neighbour).is_some() {
                continue;
            }
            if self.listed(neighbour).is_some_and(Neighbour::is_incomplete) {
                self.prober.cancel(neighbour).await?;
            }
            self.prober.probe(neighbour).await?;
        }
        Ok(())
    }

    fn remove_finished_retries(&mut self, now: Instant) {
        let published = &self.published;
        self.retries
            .remove_finished(now, |neighbour| published.neighbour(neighbour).is_some());
    }

    fn listed(&self, neighbour: IpAddr) -> Option<&Neighbour> {
        self.neighbours.iter().find(|n| n.address == neighbour)
    }

    /// Probes stale neighbours that were requested or are gateways. The kernel does not see Causeway's traffic, so it does
    /// not probe them. With NTF_EXT_MANAGED it would, but it would continue after this process has ended.
    async fn refresh(&mut self) -> Result<(), RoutesError> {
        self.outdated = Outdated::ALL;
        self.update().await?;
        let published = Arc::clone(&self.published);
        self.refreshed.retain(|address, requested| {
            published.neighbour(*address).is_some() || requested.elapsed() < RESOLVE_TIMEOUT
        });
        let in_use = |a: &IpAddr| self.refreshed.contains_key(a) || self.gateways.contains(a);
        let stale = self.neighbours.iter().filter(|n| n.is_stale());
        let stale: Vec<IpAddr> = stale.map(|n| n.address).filter(in_use).collect();
        for address in stale {
            self.prober.probe(address).await?;
        }
        Ok(())
    }
}
