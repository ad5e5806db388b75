//! A worker's share of one peering: an SA each way.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use causeway_esp::{InboundSa, OutboundSa};
use causeway_routes::{Lookup, Snapshot};
use ipnet::Ipv4Net;

use crate::mss;

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
    pub outbound: OutboundSa,
    /// The SA on which this worker receives.
    pub inbound: InboundSa,
}

/// A tunnel as the worker runs it.
pub(crate) struct Lane {
    pub(crate) outbound: OutboundSa,
    pub(crate) inbound: InboundSa,
    pub(crate) peer: Ipv4Addr,
    /// The peer's next hop under the snapshot in force.
    pub(crate) hop: Lookup,
    /// The longest inner packet.
    pub(crate) max_inner: usize,
    /// The highest MSS that may pass.
    pub(crate) mss: Option<u16>,
    /// Control is asked for more when no more than this many numbers are reserved: a quarter of
    /// what there was after the last reservation.
    low_water: u64,
    asked: Option<Instant>,
}

impl Lane {
    pub(crate) fn new(mut tunnel: Tunnel, mtu: usize, routes: &Snapshot) -> Self {
        let max_inner = tunnel.outbound.max_inner(mtu);
        tunnel.outbound.bound_padding(max_inner);
        Self {
            hop: routes.lookup(tunnel.peer.into()),
            peer: tunnel.peer,
            max_inner,
            mss: tunnel.clamp_mss.then(|| mss::limit(max_inner)),
            low_water: tunnel.outbound.sequence().reserved() / 4,
            asked: None,
            outbound: tunnel.outbound,
            inbound: tunnel.inbound,
        }
    }

    /// Numbers below `until` are reserved now.
    pub(crate) fn reserve_until(&mut self, until: u64) {
        self.outbound.reserve_until(until);
        self.low_water = self.outbound.sequence().reserved() / 4;
        self.asked = None;
    }

    /// Calls `ask` when numbers are short and control was not asked lately. `ask` says whether it
    /// could.
    pub(crate) fn ask_for_numbers(&mut self, now: Instant, ask: impl FnOnce() -> bool) {
        let short = self.outbound.sequence().reserved() <= self.low_water;
        let due = self
            .asked
            .is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AGAIN);
        if short && due && ask() {
            self.asked = Some(now);
        }
    }
}
