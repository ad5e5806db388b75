//! A worker's share of one peering.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use causeway_esp::{InboundSa, OutboundSa, Spi};
use causeway_routes::{Lookup, Snapshot};
use ipnet::IpNet;

use crate::control::{Direction, Limit, Port};
use crate::counters::{Changes, Counters};
use crate::dummy::Dummies;
use crate::path::Path;
use crate::sa::Metered;

/// How often control is asked for sequence numbers while they are short.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// RFC 791 section 3.2: every link carries an IPv4 packet of 68 octets whole.
const LEAST_IPV4: usize = 68;
/// RFC 8200 section 5: every link carries an IPv6 packet of 1280 octets, and nobody sends less for
/// being told to.
const LEAST_IPV6: usize = 1280;

/// What a worker is told of one tunnel.
#[derive(Debug)]
pub struct Tunnel {
    /// The outer destination address: the peer gateway.
    pub peer: IpAddr,
    /// What lies behind the peer.
    pub peer_prefixes: Vec<IpNet>,
    /// Whether the MSS of TCP SYNs is lowered to what the tunnel carries, both ways.
    pub clamp_mss: bool,
    /// How long an MTU that somebody on the path tells by ICMP is believed. Zero: not at all.
    pub path_mtu_age: Duration,
    /// How long it may be quiet before it sends a dummy packet; `None`: for ever.
    pub dummy_interval: Option<Duration>,
    /// The SA on which this worker sends.
    pub outbound: Metered<OutboundSa>,
    /// The SA on which this worker receives at first.
    pub inbound: Metered<InboundSa>,
}

/// Octets that a tunnel to these prefixes must carry in one packet.
pub(crate) fn least(peer_prefixes: &[IpNet]) -> usize {
    let ipv6 = |prefix: &IpNet| matches!(prefix, IpNet::V6(_));
    if peer_prefixes.iter().any(ipv6) {
        LEAST_IPV6
    } else {
        LEAST_IPV4
    }
}

/// A tunnel as the worker runs it. Its inbound SAs stand by SPI in
/// [`Inbound`](crate::inbound::Inbound).
// In this order, so that what each packet asks for is in the first line.
#[repr(C, align(64))]
pub(crate) struct Lane {
    pub(crate) outbound: Metered<OutboundSa>,
    /// The longest inner packet that the path takes.
    pub(crate) max_inner: usize,
    /// Control is asked for more when no more than this many numbers are reserved: a quarter of
    /// what there was after the last reservation.
    low_water: u64,
    /// The peer's next hop under the snapshot in force.
    pub(crate) hop: Lookup,
    pub(crate) peer: IpAddr,
    pub(crate) clamp_mss: bool,
    /// Whether nothing that its inbound SAs bring is opened.
    pub(crate) fenced: bool,
    /// Whether its outbound SA is one of those used in this round.
    pub(crate) used: bool,
    pub(crate) path: Path,
    pub(crate) dummies: Option<Dummies>,
    /// What it must carry at least, whatever SA it is given.
    pub(crate) least: usize,
    asked: Option<Instant>,
}

const _: () = assert!(std::mem::offset_of!(Lane, used) < 64);

impl AsMut<OutboundSa> for Lane {
    #[inline]
    fn as_mut(&mut self) -> &mut OutboundSa {
        self.outbound.sa_mut()
    }
}

impl Lane {
    pub(crate) fn new(
        peer: IpAddr,
        least: usize,
        clamp_mss: bool,
        path: Path,
        outbound: Metered<OutboundSa>,
        routes: &Snapshot,
    ) -> Self {
        let mut lane = Self {
            hop: routes.lookup(peer),
            peer,
            path,
            dummies: None,
            max_inner: 0,
            least,
            clamp_mss,
            fenced: false,
            used: false,
            low_water: outbound.sa().sequence().reserved() / 4,
            asked: None,
            outbound,
        };
        lane.fit();
        lane
    }

    /// Takes the MTU of the path into force.
    pub(crate) fn fit(&mut self) {
        self.max_inner = self.outbound.sa().max_inner(self.path.mtu());
        self.outbound.sa_mut().bound_padding(self.max_inner);
    }

    /// Sends on another SA from now on. The one in use is dropped and its key wiped.
    pub(crate) fn switch(&mut self, outbound: Metered<OutboundSa>) {
        self.low_water = outbound.sa().sequence().reserved() / 4;
        self.asked = None;
        self.outbound = outbound;
        self.fit();
    }

    /// Numbers of the SA `spi` below `until` are reserved now. A reservation for the SA that was in
    /// use before a switch says nothing about the key in use.
    pub(crate) fn reserve_until(&mut self, spi: Spi, until: u64) {
        if self.outbound.sa().spi() != spi {
            return;
        }
        self.outbound.sa_mut().reserve_until(until);
        self.low_water = self.outbound.sa().sequence().reserved() / 4;
        self.asked = None;
    }

    /// Holds the outbound SA against its lifetime, and tells control of a limit that it has reached.
    #[inline]
    pub(crate) fn review(
        &mut self,
        tunnel: usize,
        now: Instant,
        port: &Port,
        changes: &mut Changes,
    ) {
        let spi = self.outbound.sa().spi();
        self.outbound.review(now, |stage, bound| {
            let reached = Limit {
                tunnel,
                direction: Direction::Outbound,
                spi,
                stage,
                bound,
            };
            port.tell(reached, changes)
        });
    }

    /// Tells what the outbound SA has carried, and how many numbers it has left.
    #[inline]
    pub(crate) fn publish(&self, tunnel: usize, counters: &Counters) {
        self.outbound.publish();
        let remaining = self.outbound.sa().sequence_remaining();
        counters.publish_sequence(tunnel, remaining);
    }

    /// Whether control is to be asked for more numbers.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.outbound.sa().sequence().reserved() <= self.low_water
    }

    /// Calls `ask` when numbers are short and control was not asked lately. `ask` says whether it
    /// could.
    pub(crate) fn ask_for_numbers(&mut self, now: Instant, ask: impl FnOnce(Spi) -> bool) {
        let short = self.is_short();
        let due = self
            .asked
            .is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AGAIN);
        if short && due && ask(self.outbound.sa().spi()) {
            self.asked = Some(now);
        }
    }
}
