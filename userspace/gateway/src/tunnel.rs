//! A worker's share of one peering.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use causeway_esp::{InboundSa, OutboundSa, Spi};
use causeway_routes::{Lookup, Snapshot};
use ipnet::Ipv4Net;

use crate::mss;
use crate::sa::Metered;

/// How often control is asked for sequence numbers while they are short.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What a worker is told of one tunnel.
#[derive(Debug)]
pub struct Tunnel {
    /// The outer destination address: the peer gateway.
    pub peer: Ipv4Addr,
    /// What lies behind the peer.
    pub peer_prefixes: Vec<Ipv4Net>,
    /// Whether the MSS of TCP SYNs is lowered to what the tunnel carries, both ways.
    pub clamp_mss: bool,
    /// The SA on which this worker sends.
    pub outbound: Metered<OutboundSa>,
    /// The SA on which this worker receives at first.
    pub inbound: Metered<InboundSa>,
}

/// A tunnel as the worker runs it. Its inbound SAs stand by SPI in
/// [`Inbound`](crate::inbound::Inbound).
pub(crate) struct Lane {
    pub(crate) outbound: Metered<OutboundSa>,
    pub(crate) peer: Ipv4Addr,
    /// The peer's next hop under the snapshot in force.
    pub(crate) hop: Lookup,
    /// The longest inner packet.
    pub(crate) max_inner: usize,
    /// The highest MSS that may pass.
    pub(crate) mss: Option<u16>,
    clamp_mss: bool,
    /// Control is asked for more when no more than this many numbers are reserved: a quarter of
    /// what there was after the last reservation.
    low_water: u64,
    asked: Option<Instant>,
}

impl Lane {
    pub(crate) fn new(
        peer: Ipv4Addr,
        clamp_mss: bool,
        mut outbound: Metered<OutboundSa>,
        mtu: usize,
        routes: &Snapshot,
    ) -> Self {
        let max_inner = outbound.sa.max_inner(mtu);
        outbound.sa.bound_padding(max_inner);
        Self {
            hop: routes.lookup(peer.into()),
            peer,
            max_inner,
            mss: clamp_mss.then(|| mss::limit(max_inner)),
            clamp_mss,
            low_water: outbound.sa.sequence().reserved() / 4,
            asked: None,
            outbound,
        }
    }

    /// Sends on another SA from now on. The one in use is dropped and its key wiped.
    pub(crate) fn switch(&mut self, outbound: Metered<OutboundSa>, mtu: usize, routes: &Snapshot) {
        *self = Self::new(self.peer, self.clamp_mss, outbound, mtu, routes);
    }

    /// Numbers of the SA `spi` below `until` are reserved now. A reservation for the SA that was in
    /// use before a switch says nothing about the key in use.
    pub(crate) fn reserve_until(&mut self, spi: Spi, until: u64) {
        if self.outbound.sa.spi() != spi {
            return;
        }
        self.outbound.sa.reserve_until(until);
        self.low_water = self.outbound.sa.sequence().reserved() / 4;
        self.asked = None;
    }

    /// Calls `ask` when numbers are short and control was not asked lately. `ask` says whether it
    /// could.
    pub(crate) fn ask_for_numbers(&mut self, now: Instant, ask: impl FnOnce(Spi) -> bool) {
        let short = self.outbound.sa.sequence().reserved() <= self.low_water;
        let due = self
            .asked
            .is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AGAIN);
        if short && due && ask(self.outbound.sa.spi()) {
            self.asked = Some(now);
        }
    }
}
