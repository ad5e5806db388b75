//! SAs in use: their lifetime, and the usage that their worker publishes.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use causeway_esp::{InboundSa, LifetimeState, OutboundSa, Spi, Usage, prefetch_value};

/// An SA is due when no more sequence numbers are left than these: four minutes at a million per second.
const LAST_NUMBERS: u64 = 1 << 28;

/// An SA with the meter in which its worker publishes its usage.
///
/// It is on the heap, so that a moved SA leaves no copy of its key behind. It is one allocation, since with many SAs each
/// further cache line costs a miss.
#[derive(Debug)]
pub struct TrackedSa<S>(Box<Parts<S>>);

#[derive(Debug)]
#[repr(C, align(64))]
struct Parts<S> {
    meter: Arc<Meter>,
    /// The worker's first review of the SA, from which its lifetime counts.
    since: Option<Instant>,
    /// The last state of which control was notified.
    notified: LifetimeState,
    sa: S,
}

impl<S> TrackedSa<S> {
    /// The SA's usage, readable while a worker has the SA and afterwards.
    pub fn meter(&self) -> Arc<Meter> {
        self.0.meter.clone()
    }

    #[inline]
    pub(crate) fn sa(&self) -> &S {
        &self.0.sa
    }

    #[inline]
    pub(crate) fn sa_mut(&mut self) -> &mut S {
        &mut self.0.sa
    }

    /// Prefetches this structure up to the first `hot` bytes of the SA.
    #[inline]
    fn fetch_until(&self, hot: usize) {
        prefetch_value(&*self.0, mem::offset_of!(Parts<S>, sa) + hot);
    }

    /// Prefetches the meter. The pointer to it should be in the cache by then.
    #[inline]
    pub(crate) fn fetch_meter(&self) {
        prefetch_value(&*self.0.meter, size_of::<Meter>());
    }

    #[inline]
    fn age(&mut self, now: Instant) -> Duration {
        let since = *self.0.since.get_or_insert(now);
        now.saturating_duration_since(since)
    }

    /// Publishes the state. Calls `notify` if it is a later one than before; if `notify` fails, the next review repeats it.
    fn set_state(&mut self, state: LifetimeState, notify: impl FnOnce(LifetimeState) -> bool) {
        self.0.meter.state.store(state as u8, Relaxed);
        if state > self.0.notified && notify(state) {
            self.0.notified = state;
        }
    }
}

impl TrackedSa<OutboundSa> {
    /// Prefetches the state for a packet, except the key and the meter.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.fetch_until(OutboundSa::HOT);
    }

    /// Checks the SA against its lifetime and the end of its sequence numbers.
    pub(crate) fn review(
        &mut self,
        now: Instant,
        notify: impl FnOnce(LifetimeState, Bound) -> bool,
    ) {
        let age = self.age(now);
        let lifetime = self.0.sa.lifetime_state(age);
        let numbers = match self.0.sa.sequence_remaining() {
            0 => LifetimeState::Expired,
            1..=LAST_NUMBERS => LifetimeState::Due,
            _ => LifetimeState::Active,
        };
        let (state, bound) = if numbers > lifetime {
            (numbers, Bound::SequenceNumbers)
        } else {
            (lifetime, Bound::Lifetime)
        };
        self.set_state(state, |state| notify(state, bound));
    }

    pub(crate) fn publish(&self) {
        self.0.meter.set_usage(self.0.sa.usage());
        let remaining = self.0.sa.sequence_remaining();
        self.0.meter.sequences_remaining.store(remaining, Relaxed);
    }
}

impl TrackedSa<InboundSa> {
    /// Prefetches the state for a packet, except the key, the replay window and the meter.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.fetch_until(InboundSa::HOT);
    }

    /// Checks the SA against its lifetime.
    pub(crate) fn review(&mut self, now: Instant, notify: impl FnOnce(LifetimeState) -> bool) {
        let age = self.age(now);
        let state = self.0.sa.lifetime_state(age);
        self.set_state(state, notify);
    }

    pub(crate) fn publish(&self) {
        self.0.meter.set_usage(self.0.sa.usage());
    }
}

impl<S> From<S> for TrackedSa<S> {
    fn from(sa: S) -> Self {
        Self(Box::new(Parts {
            meter: Arc::default(),
            since: None,
            notified: LifetimeState::Active,
            sa,
        }))
    }
}

/// The usage and the lifetime state of one SA. Only its worker writes it, once per burst.
#[derive(Debug, Default)]
pub struct Meter {
    packets: AtomicU64,
    bytes: AtomicU64,
    sequences_remaining: AtomicU64,
    state: AtomicU8,
}

impl Meter {
    fn set_usage(&self, usage: Usage) {
        self.packets.store(usage.packets, Relaxed);
        self.bytes.store(usage.bytes, Relaxed);
    }

    /// Packets and bytes that the SA has carried.
    pub fn usage(&self) -> Usage {
        Usage {
            packets: self.packets.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// The SA's lifetime state at its last review.
    pub fn lifetime_state(&self) -> LifetimeState {
        let states = [
            LifetimeState::Active,
            LifetimeState::Due,
            LifetimeState::Expired,
        ];
        let state = self.state.load(Relaxed);
        let mut known = states.into_iter();
        known
            .find(|&known| known as u8 == state)
            .unwrap_or(LifetimeState::Expired)
    }

    /// Sequence numbers that an outbound SA has left before it needs a new key; 0 for an inbound SA.
    pub fn sequences_remaining(&self) -> u64 {
        self.sequences_remaining.load(Relaxed)
    }
}

/// An SA that reached a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The tunnel's index in the configuration.
    pub tunnel: usize,
    /// The direction of the SA.
    pub direction: Direction,
    /// The SA's SPI.
    pub spi: Spi,
    /// [`LifetimeState::Due`] at a soft limit, [`LifetimeState::Expired`] at a hard one.
    pub state: LifetimeState,
    /// The limit that was reached.
    pub bound: Bound,
}

/// A kind of limit of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// RFC 4301 section 4.4.2.1.
    Lifetime,
    /// RFC 4303 section 3.3.3.
    SequenceNumbers,
}

/// The direction of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// It seals.
    Outbound,
    /// It opens.
    Inbound,
}
