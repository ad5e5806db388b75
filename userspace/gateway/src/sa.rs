//! SAs as a worker runs them: how old they are, and what it publishes of them.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use causeway_esp::{InboundSa, OutboundSa, Stage, Usage, prefetch_value};

use crate::control::Bound;

/// A new SA is due when no more numbers than these are left: four minutes of a million a second.
const LAST_NUMBERS: u64 = 1 << 28;

/// An SA, and where its worker publishes what it has carried.
///
/// On the heap, so that an SA that changes hands leaves no copy of its key behind, and all in one place: with many SAs
/// each line of memory is a wait.
#[derive(Debug)]
pub struct Metered<S>(Box<Parts<S>>);

#[derive(Debug)]
#[repr(C, align(64))]
struct Parts<S> {
    meter: Arc<Meter>,
    /// When a worker first looked at it: its lifetime counts from there.
    since: Option<Instant>,
    /// The stage of which control knows.
    told: Stage,
    sa: S,
}

impl<S> Metered<S> {
    /// What the SA has carried: readable while a worker has the SA, and after.
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

    /// Fetches ahead what stands here, as far as the first `hot` bytes of the SA.
    #[inline]
    fn fetch_until(&self, hot: usize) {
        prefetch_value(&*self.0, mem::offset_of!(Parts<S>, sa) + hot);
    }

    /// Fetches ahead where it is published. The rest should be in the cache by then.
    #[inline]
    pub(crate) fn fetch_meter(&self) {
        prefetch_value(&*self.0.meter, size_of::<Meter>());
    }

    #[inline]
    fn age(&mut self, now: Instant) -> Duration {
        let since = *self.0.since.get_or_insert(now);
        now.saturating_duration_since(since)
    }

    /// When the SA has come to a later stage of its life, calls `tell`, which says whether it
    /// could; if not, it is called again in the next batch.
    fn come_to(&mut self, stage: Stage, tell: impl FnOnce(Stage) -> bool) {
        self.0.meter.stage.store(stage as u8, Relaxed);
        if stage > self.0.told && tell(stage) {
            self.0.told = stage;
        }
    }
}

impl Metered<OutboundSa> {
    /// Fetches ahead what a packet takes of it, but for the key and the meter.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.fetch_until(OutboundSa::HOT);
    }

    /// Holds the SA against its lifetime and the end of its numbers, before each batch.
    pub(crate) fn review(&mut self, now: Instant, tell: impl FnOnce(Stage, Bound) -> bool) {
        let age = self.age(now);
        let lifetime = self.0.sa.stage(age);
        let numbers = match self.0.sa.sequence_remaining() {
            0 => Stage::Expired,
            1..=LAST_NUMBERS => Stage::Due,
            _ => Stage::Young,
        };
        let (stage, bound) = if numbers > lifetime {
            (numbers, Bound::SequenceNumbers)
        } else {
            (lifetime, Bound::Lifetime)
        };
        self.come_to(stage, |stage| tell(stage, bound));
    }

    pub(crate) fn publish(&self) {
        self.0.meter.set_usage(self.0.sa.usage());
        let remaining = self.0.sa.sequence_remaining();
        self.0.meter.sequences_remaining.store(remaining, Relaxed);
    }
}

impl Metered<InboundSa> {
    /// Fetches ahead what a packet takes of it, but for the key, the window and the meter.
    #[inline]
    pub(crate) fn fetch(&self) {
        self.fetch_until(InboundSa::HOT);
    }

    /// Holds the SA against its lifetime.
    pub(crate) fn review(&mut self, now: Instant, tell: impl FnOnce(Stage) -> bool) {
        let age = self.age(now);
        let stage = self.0.sa.stage(age);
        self.come_to(stage, tell);
    }

    pub(crate) fn publish(&self) {
        self.0.meter.set_usage(self.0.sa.usage());
    }
}

impl<S> From<S> for Metered<S> {
    fn from(sa: S) -> Self {
        Self(Box::new(Parts {
            meter: Arc::default(),
            since: None,
            told: Stage::Young,
            sa,
        }))
    }
}

/// What one SA has carried and where it stands in its life. Written by its worker alone, once per
/// batch.
#[derive(Debug, Default)]
pub struct Meter {
    packets: AtomicU64,
    bytes: AtomicU64,
    sequences_remaining: AtomicU64,
    stage: AtomicU8,
}

impl Meter {
    fn set_usage(&self, usage: Usage) {
        self.packets.store(usage.packets, Relaxed);
        self.bytes.store(usage.bytes, Relaxed);
    }

    /// What the SA has carried.
    pub fn usage(&self) -> Usage {
        Usage {
            packets: self.packets.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// Where it stands in its life.
    pub fn stage(&self) -> Stage {
        let stages = [Stage::Young, Stage::Due, Stage::Expired];
        let stage = self.stage.load(Relaxed);
        let mut known = stages.into_iter();
        known
            .find(|&known| known as u8 == stage)
            .unwrap_or(Stage::Expired)
    }

    /// How many sequence numbers an outbound SA has left before it needs a new key; 0 for an
    /// inbound one.
    pub fn sequences_remaining(&self) -> u64 {
        self.sequences_remaining.load(Relaxed)
    }
}
