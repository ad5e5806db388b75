//! Failures of parts of a role that only report, or that try again: they are counted and logged, and end nothing.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// At most one log line in this time. A lack of descriptors fails every attempt.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The wait before the next attempt.
pub(crate) const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The count of a role. A clone counts into the same.
#[derive(Clone, Debug, Default)]
pub struct Transient(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: AtomicU64,
    logged: Mutex<Option<Instant>>,
}

impl Transient {
    /// Counts a failure. `what` failed, in the form "cannot ...".
    pub(crate) fn count(&self, what: &str, error: &dyn Display) {
        self.0.count.fetch_add(1, Relaxed);
        let mut logged = self
            .0
            .logged
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            *logged = Some(Instant::now());
            tracing::warn!("{what}: {error}; trying again");
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.count.load(Relaxed)
    }
}
