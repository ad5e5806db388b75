//! A worker's share of the tunnels: their configuration, their state, and the prefixes by which packets find them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use causeway_esp::{InboundSa, OutboundSa, Spi};
use causeway_routes::{Lookup, Snapshot};
use causeway_steering::Address;
use ipnet::IpNet;

use crate::control::{Event, WorkerChannels};
use crate::counters::{Changes, Counters};
use crate::inbound::InboundSas;
use crate::prefix::Prefixes;
use crate::reply::Refused;
use crate::sa::{Direction, Limit, TrackedSa};

/// The interval between two requests for sequence numbers while they are short.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);
/// The interval between two reviews of SAs that are not in use. There may be thousands, so not in each round; SAs in use
/// are reviewed in each round.
const REVIEW_INTERVAL: Duration = Duration::from_millis(10);
/// SAs of each direction in one review, so that 10,000 idle SAs cost no more per round than these.
const REVIEWED: usize = 256;
/// RFC 791 section 3.2: every link carries an IPv4 packet of 68 octets whole.
const MIN_IPV4: usize = 68;
/// RFC 8200 section 5: every link carries an IPv6 packet of 1280 octets, and no sender goes below.
const MIN_IPV6: usize = 1280;

/// The two demuxes that exchange messages through a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demuxes {
    /// The demux of this VPC.
    pub own: Address,
    /// The demux of the peer's VPC.
    pub peer: Address,
}

/// The configuration of one tunnel.
#[derive(Debug)]
pub struct Tunnel {
    /// The outer destination address: the peer gateway.
    pub peer: IpAddr,
    /// The prefixes behind the peer.
    pub peer_prefixes: Vec<IpNet>,
    /// Whether the MSS of TCP SYNs is lowered to the largest segment of the tunnel, in both directions.
    pub clamp_mss: bool,
    /// The lifetime of a path MTU learned from ICMP. Zero: none is learned.
    pub path_mtu_age: Duration,
    /// The idle time after which a dummy packet is sent; `None`: never.
    pub dummy_interval: Option<Duration>,
    /// The demuxes, if they are known before the first message that this host's demux sends through the tunnel.
    pub demuxes: Option<Demuxes>,
    /// The first SA on which this worker sends.
    pub outbound: TrackedSa<OutboundSa>,
    /// The first SA on which this worker receives.
    pub inbound: TrackedSa<InboundSa>,
}

/// The smallest MTU that a tunnel to these prefixes may have.
pub(crate) fn min_inner(peer_prefixes: &[IpNet]) -> usize {
    let ipv6 = |prefix: &IpNet| matches!(prefix, IpNet::V6(_));
    if peer_prefixes.iter().any(ipv6) {
        MIN_IPV6
    } else {
        MIN_IPV4
    }
}

/// The state of one tunnel. Its inbound SAs are in [`InboundSas`] by SPI.
// In this order, so that the fields that each packet needs are in the first cache line.
#[repr(C, align(64))]
pub(crate) struct TunnelState {
    pub(crate) outbound: TrackedSa<OutboundSa>,
    /// The longest inner packet that the path carries.
    pub(crate) max_inner: usize,
    /// When at most this many sequence numbers are left, the worker requests more from control: a quarter of those that
    /// were reserved after the last reservation.
    low_water: u64,
    /// The peer's next hop under the current snapshot.
    pub(crate) hop: Lookup,
    pub(crate) peer: IpAddr,
    pub(crate) clamp_mss: bool,
    /// Whether packets on its inbound SAs are dropped.
    pub(crate) fenced: bool,
    /// Whether its outbound SA is one of those used in this round.
    used: bool,
    /// The largest outer packet that the path carries.
    path_mtu: usize,
    /// The smallest `max_inner`, whatever its SA.
    pub(crate) min_inner: usize,
    requested: Option<Instant>,
    /// As configured, or the ends of the last message that control sent through the tunnel.
    pub(crate) demuxes: Option<Demuxes>,
}

const _: () = assert!(std::mem::offset_of!(TunnelState, used) < 64);

impl AsMut<OutboundSa> for TunnelState {
    #[inline]
    fn as_mut(&mut self) -> &mut OutboundSa {
        self.outbound.sa_mut()
    }
}

impl TunnelState {
    pub(crate) fn new(
        peer: IpAddr,
        min_inner: usize,
        clamp_mss: bool,
        path_mtu: usize,
        outbound: TrackedSa<OutboundSa>,
        routes: &Snapshot,
    ) -> Self {
        let mut state = Self {
            hop: routes.lookup(peer),
            peer,
            max_inner: 0,
            min_inner,
            path_mtu,
            clamp_mss,
            fenced: false,
            used: false,
            low_water: outbound.sa().sequence().reserved() / 4,
            requested: None,
            demuxes: None,
            outbound,
        };
        state.fit();
        state
    }

    pub(crate) fn path_mtu(&self) -> usize {
        self.path_mtu
    }

    /// Applies a new path MTU.
    pub(crate) fn set_path_mtu(&mut self, mtu: usize) {
        self.path_mtu = mtu;
        self.fit();
    }

    fn fit(&mut self) {
        self.max_inner = self.outbound.sa().max_inner(self.path_mtu);
        self.outbound.sa_mut().bound_padding(self.max_inner);
    }

    /// Sends on another SA from now on. The previous one is dropped and its key wiped.
    fn switch(&mut self, outbound: TrackedSa<OutboundSa>) {
        self.low_water = outbound.sa().sequence().reserved() / 4;
        self.requested = None;
        self.outbound = outbound;
        self.fit();
    }

    /// Extends the reserved numbers of the SA `spi`. Ignored if another SA is in use: a reservation does not outlive its
    /// key.
    fn reserve_until(&mut self, spi: Spi, until: u64) {
        if self.outbound.sa().spi() != spi {
            return;
        }
        self.outbound.sa_mut().reserve_until(until);
        self.low_water = self.outbound.sa().sequence().reserved() / 4;
        self.requested = None;
    }

    /// Checks the outbound SA against its limits, and notifies control of one that is reached.
    #[inline]
    fn review(
        &mut self,
        tunnel: usize,
        now: Instant,
        channels: &WorkerChannels,
        changes: &mut Changes,
    ) {
        let spi = self.outbound.sa().spi();
        self.outbound.review(now, |state, bound| {
            let reached = Limit {
                tunnel,
                direction: Direction::Outbound,
                spi,
                state,
                bound,
            };
            channels.notify_limit(reached, changes)
        });
    }

    /// Publishes the outbound SA's usage and its remaining sequence numbers.
    #[inline]
    pub(crate) fn publish(&self, tunnel: usize, counters: &Counters) {
        self.outbound.publish();
        let remaining = self.outbound.sa().sequence_remaining();
        counters.publish_sequence(tunnel, remaining);
    }

    /// Whether reserved sequence numbers are short.
    #[inline]
    fn is_short(&self) -> bool {
        self.outbound.sa().sequence().reserved() <= self.low_water
    }

    /// Calls `request` if sequence numbers are short and a request is due. `request` returns whether it was sent.
    fn request_numbers(&mut self, now: Instant, request: impl FnOnce(Spi) -> bool) {
        let short = self.is_short();
        let due = self
            .requested
            .is_none_or(|at| now.saturating_duration_since(at) >= REQUEST_INTERVAL);
        if short && due && request(self.outbound.sa().spi()) {
            self.requested = Some(now);
        }
    }
}

/// All tunnels of a worker, and the addresses and prefixes that select them.
pub(crate) struct Tunnels {
    /// The gateway's own address, the outer destination of packets to open.
    pub(crate) address: Address,
    pub(crate) own_prefixes: Prefixes,
    pub(crate) peer_prefixes: Prefixes,
    /// By their index in the configuration.
    pub(crate) states: Vec<TunnelState>,
    pub(crate) inbound: InboundSas,
    /// The NIC's MTU.
    mtu: usize,
    /// Tunnels whose outbound SA has sealed in this round or is new.
    used: Vec<usize>,
    /// Whether a tunnel may be short of sequence numbers.
    short: bool,
    reviewed: Option<Instant>,
    /// The tunnel that is reviewed next.
    next_review: usize,
}

impl Tunnels {
    pub(crate) fn new(
        address: Address,
        own_prefixes: Prefixes,
        peer_prefixes: Prefixes,
        states: Vec<TunnelState>,
        inbound: InboundSas,
        mtu: usize,
    ) -> Self {
        Self {
            address,
            own_prefixes,
            peer_prefixes,
            inbound,
            mtu,
            used: Vec::with_capacity(states.len()),
            states,
            short: true,
            reviewed: None,
            next_review: 0,
        }
    }

    /// The state of a tunnel that a command names.
    pub(crate) fn get_mut(&mut self, tunnel: usize) -> Result<&mut TunnelState, Refused> {
        let state = self.states.get_mut(tunnel);
        state.ok_or(Refused::NoSuchTunnel { tunnel })
    }

    /// Looks up every peer's next hop in a new snapshot.
    pub(crate) fn replace_routes(&mut self, routes: &Snapshot) {
        for state in &mut self.states {
            state.hop = routes.lookup(state.peer);
        }
    }

    pub(crate) fn install(
        &mut self,
        tunnel: usize,
        sa: TrackedSa<InboundSa>,
        changes: &mut Changes,
    ) -> Result<(), Refused> {
        self.get_mut(tunnel)?;
        self.inbound.install(tunnel, sa)?;
        changes.installed += 1;
        Ok(())
    }

    pub(crate) fn switch(
        &mut self,
        tunnel: usize,
        sa: TrackedSa<OutboundSa>,
        changes: &mut Changes,
    ) -> Result<(), Refused> {
        let max_inner = sa.sa().max_inner(self.mtu);
        let state = self.get_mut(tunnel)?;
        let least = state.min_inner;
        if max_inner < least {
            return Err(Refused::MtuTooSmall { max_inner, least });
        }
        state.switch(sa);
        self.short = true;
        self.mark_used(tunnel);
        changes.switched += 1;
        Ok(())
    }

    pub(crate) fn reserve_until(&mut self, tunnel: usize, spi: Spi, until: u64) {
        if let Some(state) = self.states.get_mut(tunnel) {
            state.reserve_until(spi, until);
            self.short = true;
        }
    }

    /// Marks a tunnel's outbound SA as used: it is reviewed and published in this round.
    #[inline]
    pub(crate) fn mark_used(&mut self, tunnel: usize) {
        let state = &mut self.states[tunnel];
        if !state.used {
            state.used = true;
            self.used.push(tunnel);
            state.outbound.fetch();
        }
    }

    /// Checks SAs against their lifetimes now and then, whether they are in use or not.
    pub(crate) fn review(
        &mut self,
        now: Instant,
        channels: &WorkerChannels,
        changes: &mut Changes,
    ) {
        let reviewed = self.reviewed;
        if reviewed.is_none_or(|at| now.saturating_duration_since(at) >= REVIEW_INTERVAL) {
            self.reviewed = Some(now);
            for _ in 0..self.states.len().min(REVIEWED) {
                let tunnel = self.next_review;
                self.next_review = (tunnel + 1) % self.states.len();
                self.states[tunnel].review(tunnel, now, channels, changes);
            }
            self.inbound.review(REVIEWED, now, channels, changes);
        }
    }

    /// Publishes the usage of the outbound SAs that this round used, after the last packet that they seal in it, and checks
    /// their limits.
    pub(crate) fn account(
        &mut self,
        now: Instant,
        channels: &WorkerChannels,
        changes: &mut Changes,
    ) {
        for tunnel in self.used.drain(..) {
            let state = &mut self.states[tunnel];
            state.used = false;
            state.review(tunnel, now, channels, changes);
            state.publish(tunnel, &channels.counters);
            self.short |= state.is_short();
        }
    }

    /// Requests sequence numbers from control where they are short.
    pub(crate) fn request_numbers(&mut self, now: Instant, channels: &WorkerChannels) {
        if self.short {
            self.short = false;
            for (tunnel, state) in self.states.iter_mut().enumerate() {
                state.request_numbers(now, |spi| {
                    channels.notify(Event::ReserveMore { tunnel, spi })
                });
                self.short |= state.is_short();
            }
        }
    }
}
