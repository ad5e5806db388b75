//! SAs as a worker runs them, with what it publishes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use causeway_esp::{InboundSa, OutboundSa};

/// An SA, and where its worker publishes what it has carried.
///
/// On the heap, so that an SA that changes hands leaves no copy of its key behind.
#[derive(Debug)]
pub struct Metered<S> {
    pub(crate) sa: Box<S>,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    /// What the SA has carried: readable while a worker has the SA, and after.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }
}

impl<S> From<S> for Metered<S> {
    fn from(sa: S) -> Self {
        Self {
            sa: Box::new(sa),
            meter: Arc::default(),
        }
    }
}

/// What one SA has carried. Written by its worker alone, once per batch.
#[derive(Debug, Default)]
pub struct Meter {
    sequences_remaining: AtomicU64,
}

impl Meter {
    /// How many sequence numbers an outbound SA has left before it needs a new key.
    pub fn sequences_remaining(&self) -> u64 {
        self.sequences_remaining.load(Relaxed)
    }
}

impl Metered<OutboundSa> {
    pub(crate) fn publish(&self) {
        let remaining = self.sa.sequence_remaining();
        self.meter.sequences_remaining.store(remaining, Relaxed);
    }
}

impl Metered<InboundSa> {
    pub(crate) fn publish(&self) {}
}
