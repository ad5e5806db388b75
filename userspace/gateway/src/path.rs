//! The path to a peer: the largest outer packet that it takes, learned and forgotten again
//! (RFC 4301 section 8.2, RFC 1191, RFC 8201).

use std::time::{Duration, Instant};

use causeway_device::Device;

use crate::control::Event;
use crate::too_big::TooBig;
use crate::tunnel::Lane;
use crate::worker::Worker;

/// How far back a quoted number may lie: a second of four million packets. A report comes at once,
/// or is a guess.
const RECENT: u32 = 1 << 22;
/// Every host takes an IPv4 packet of so many octets (RFC 791 section 3.1), so that a tunnel must
/// carry it whatever is said of its path; [`Lane::least`] is what it must for the families it carries.
const SMALLEST_INNER: usize = 576;
/// RFC 8201 section 4: every IPv6 path takes so many octets, and a report of less is discarded.
const SMALLEST_IPV6: usize = 1280;

/// The MTU of a path.
pub(crate) struct Path {
    /// The NIC's MTU: what is in force when nothing else was learned.
    link: usize,
    mtu: usize,
    /// How long a learned MTU is believed; nothing at all is for zero.
    age: Duration,
    /// When the learned MTU is forgotten.
    until: Option<Instant>,
}

impl Path {
    pub(crate) fn new(link: usize, age: Duration) -> Self {
        Self {
            link,
            mtu: link,
            age,
            until: None,
        }
    }

    /// The largest outer packet, in octets.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu
    }

    /// Whether anything that is said of the path is believed.
    fn is_watched(&self) -> bool {
        !self.age.is_zero()
    }

    /// Takes a smaller MTU into force, and says whether it was one. A larger one is none of the
    /// path's narrowest place; that the path has become wider shows with age.
    fn lower(&mut self, mtu: usize, at: Instant) -> bool {
        let smaller = mtu < self.mtu;
        if smaller {
            self.mtu = mtu;
            self.until = Some(at + self.age);
        }
        smaller
    }

    /// Forgets what is too old, and says whether it did.
    fn forget(&mut self, now: Instant) -> bool {
        let old = self.until.is_some_and(|until| now >= until);
        if old {
            self.mtu = self.link;
            self.until = None;
        }
        old
    }
}

impl Lane {
    /// Whether this lane sent the packet that the report quotes, of late.
    ///
    /// SPI and number keep out noise, what belongs to another tunnel, and blind guesses; who sees
    /// our packets can forge a report all the same (RFC 4301 section 6.1).
    fn sent(&self, report: &TooBig) -> bool {
        let next = self.outbound.sa().sequence().next() as u32;
        let back = next.wrapping_sub(report.sequence);
        self.peer == report.destination
            && self.outbound.sa().spi().get() == report.spi
            && (1..=RECENT).contains(&back)
    }

    /// Whether a path that takes this little is one at all. The floor bounds what a forger can do.
    fn possible(&self, mtu: usize) -> bool {
        let floor = self.least.max(SMALLEST_INNER);
        self.outbound.sa().max_inner(mtu) >= floor && (self.peer.is_ipv4() || mtu >= SMALLEST_IPV6)
    }
}

impl<D: Device> Worker<D> {
    /// Sends no more than the path of the quoted packet takes.
    pub(crate) fn learn(&mut self, report: &TooBig, at: Instant) {
        if self.address != report.source.into() {
            return;
        }
        let mtu = report.mtu;
        for tunnel in 0..self.lanes.len() {
            let lane = &mut self.lanes[tunnel];
            if !lane.sent(report) || !lane.path.is_watched() {
                continue;
            }
            if !lane.possible(mtu) {
                if self.audit_tokens.take(at) {
                    let event = Event::PathTooNarrow { tunnel, mtu };
                    let _ = self.port.events.try_send(event);
                }
            } else if lane.path.lower(mtu, at) {
                self.forget_at = self.forget_at.into_iter().chain(lane.path.until).min();
                self.refit(tunnel);
            }
        }
    }

    /// Lets go what was learned too long ago.
    #[inline]
    pub(crate) fn forget(&mut self, now: Instant) {
        if self.forget_at.is_some_and(|at| now >= at) {
            self.forget_old(now);
        }
    }

    #[cold]
    fn forget_old(&mut self, now: Instant) {
        for tunnel in 0..self.lanes.len() {
            if self.lanes[tunnel].path.forget(now) {
                self.refit(tunnel);
            }
        }
        self.forget_at = self.lanes.iter().filter_map(|lane| lane.path.until).min();
    }

    /// Fits the tunnel to its path, and tells control.
    fn refit(&mut self, tunnel: usize) {
        let lane = &mut self.lanes[tunnel];
        lane.fit();
        let mtu = lane.path.mtu();
        self.port.counters.publish_path(tunnel, mtu as u64);
        // A full channel loses a line of the log; the published MTU is read when somebody asks.
        let _ = self.port.events.try_send(Event::PathMtu { tunnel, mtu });
    }
}
