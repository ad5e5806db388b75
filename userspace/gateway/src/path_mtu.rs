//! Path MTUs: the largest outer packet on the path to each peer, learned from ICMP and forgotten with age (RFC 4301
//! section 8.2, RFC 1191, RFC 8201).

use std::time::{Duration, Instant};

use causeway_esp::Spi;

use crate::control::{Event, WorkerChannels};
use crate::too_big::TooBig;
use crate::tunnel::{TunnelState, Tunnels};

/// A report must quote a sequence number of the last one to two seconds, of which a worker notes the first each second. A
/// genuine report arrives within that time.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// And one of the last numbers, this many. A tunnel that sends more in a second still sends when the report arrives, so that
/// others follow.
const RECENT: u32 = 1 << 18;
/// Every host accepts an IPv4 packet of this length (RFC 791 section 3.1), so a tunnel carries it whatever is reported.
/// [`TunnelState::min_inner`] is the bound of the families that the tunnel carries.
const MIN_INNER: usize = 576;
/// RFC 8201 section 4: every IPv6 path carries a packet of this length, and a report of less is ignored.
const MIN_IPV6: usize = 1280;

/// The path to one peer.
struct Path {
    /// The lifetime of a learned MTU. Zero: none is learned.
    age: Duration,
    /// The time at which the learned MTU is forgotten.
    until: Option<Instant>,
    sent: Sent,
}

/// The numbers of the packets that an outbound SA sent in the last seconds.
#[derive(Clone, Copy, Default)]
struct Sent {
    /// The SA; `None` before the first note.
    spi: Option<Spi>,
    /// The next number at the last note, and at the one before.
    noted: u32,
    before: u32,
}

/// The paths of all tunnels, by their index in the configuration. The MTU in force is in [`TunnelState`].
pub(crate) struct PathMtus {
    /// The NIC's MTU, in force where none was learned.
    link: usize,
    paths: Vec<Path>,
    /// The earliest time at which a learned MTU is forgotten.
    forget_at: Option<Instant>,
    /// The time of the next note of the sequence numbers.
    note_at: Option<Instant>,
}

impl PathMtus {
    pub(crate) fn new(link: usize, ages: impl Iterator<Item = Duration>) -> Self {
        Self {
            link,
            paths: ages
                .map(|age| Path {
                    age,
                    until: None,
                    sent: Sent::default(),
                })
                .collect(),
            forget_at: None,
            note_at: None,
        }
    }

    /// Lowers the MTU of the tunnel whose packet the report quotes.
    pub(crate) fn learn(
        &mut self,
        report: &TooBig,
        at: Instant,
        tunnels: &mut Tunnels,
        channels: &mut WorkerChannels,
    ) {
        if tunnels.address != report.source.into() {
            return;
        }
        let mtu = report.mtu;
        for (tunnel, (path, state)) in self.paths.iter_mut().zip(&mut tunnels.states).enumerate() {
            if !sent_recently(state, &path.sent, report) || path.age.is_zero() {
                continue;
            }
            if !is_plausible(state, mtu) {
                if channels.audit_tokens.take(at) {
                    channels.notify(Event::PathTooNarrow { tunnel, mtu });
                }
            } else if mtu < state.path_mtu() {
                // A larger MTU is not that of the narrowest link. That the path has widened shows with age.
                path.until = Some(at + path.age);
                self.forget_at = self.forget_at.into_iter().chain(path.until).min();
                apply(mtu, tunnel, state, channels);
            }
        }
    }

    /// Notes the sequence numbers, and forgets the MTUs whose lifetime is over.
    #[inline]
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        tunnels: &mut Tunnels,
        channels: &WorkerChannels,
    ) {
        if self.note_at.is_none_or(|at| now >= at) {
            self.note(now, tunnels);
        }
        if self.forget_at.is_some_and(|at| now >= at) {
            self.forget_old(now, tunnels, channels);
        }
    }

    #[cold]
    fn note(&mut self, now: Instant, tunnels: &Tunnels) {
        self.note_at = Some(now + NOTE_EVERY);
        for (path, state) in self.paths.iter_mut().zip(&tunnels.states) {
            let outbound = state.outbound.sa();
            let (spi, next) = (outbound.spi(), outbound.sequence().next() as u32);
            let same = path.sent.spi == Some(spi);
            path.sent = Sent {
                spi: Some(spi),
                noted: next,
                // A new SA has sent all its packets since the last note.
                before: match same {
                    true => path.sent.noted,
                    false => next.wrapping_sub(RECENT),
                },
            };
        }
    }

    #[cold]
    fn forget_old(&mut self, now: Instant, tunnels: &mut Tunnels, channels: &WorkerChannels) {
        for (tunnel, (path, state)) in self.paths.iter_mut().zip(&mut tunnels.states).enumerate() {
            if path.until.is_some_and(|until| now >= until) {
                path.until = None;
                apply(self.link, tunnel, state, channels);
            }
        }
        self.forget_at = self.paths.iter().filter_map(|path| path.until).min();
    }
}

/// Whether the tunnel sent the packet that the report quotes, recently.
///
/// SPI and sequence number exclude noise, packets of other tunnels and blind guesses. An attacker who sees the packets
/// can still forge a report (RFC 4301 section 6.1).
fn sent_recently(state: &TunnelState, sent: &Sent, report: &TooBig) -> bool {
    let outbound = state.outbound.sa();
    let next = outbound.sequence().next() as u32;
    let back = next.wrapping_sub(report.sequence);
    let most = match sent.spi == Some(outbound.spi()) {
        true => next.wrapping_sub(sent.before).min(RECENT),
        false => RECENT,
    };
    state.peer == report.destination
        && outbound.spi().get() == report.spi
        && (1..=most).contains(&back)
}

/// Whether a tunnel can work over a path of this MTU. The lower bound limits the damage of a forged report.
fn is_plausible(state: &TunnelState, mtu: usize) -> bool {
    let floor = state.min_inner.max(MIN_INNER);
    state.outbound.sa().max_inner(mtu) >= floor && (state.peer.is_ipv4() || mtu >= MIN_IPV6)
}

/// Puts an MTU into force, and notifies control.
fn apply(mtu: usize, tunnel: usize, state: &mut TunnelState, channels: &WorkerChannels) {
    state.set_path_mtu(mtu);
    channels.counters.publish_path(tunnel, mtu as u64);
    // A full channel loses a log line; the published MTU is read on demand.
    channels.notify(Event::PathMtu { tunnel, mtu });
}
