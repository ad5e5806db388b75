//! Token buckets that bound the rates of ICMP errors, of audit events, and of reports of the path MTU.

use std::time::{Duration, Instant};

/// ICMP errors of one worker: 1000 per second, Linux's limit for a whole host (RFC 1812 section 4.3.2.8).
pub(crate) fn icmp(now: Instant) -> TokenBucket {
    TokenBucket::new(Duration::from_millis(1), 50, now)
}

/// Audit events of one worker: 10 per second, since people read them.
pub(crate) fn audit(now: Instant) -> TokenBucket {
    TokenBucket::new(Duration::from_millis(100), 10, now)
}

/// Allows at most `burst` events at once, and one per `interval` in the long run.
#[derive(Debug)]
pub struct TokenBucket {
    interval: Duration,
    burst: u32,
    tokens: u32,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(interval: Duration, burst: u32, now: Instant) -> Self {
        Self {
            interval,
            burst,
            tokens: burst,
            filled: now,
        }
    }

    /// Takes a token. Returns whether there was one.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled);
        let earned = elapsed.as_nanos() / self.interval.as_nanos();
        if earned >= u128::from(self.burst - self.tokens) {
            self.tokens = self.burst;
            self.filled = self.filled.max(now);
        } else {
            // Fewer than `burst`, so both conversions fit.
            self.tokens += earned as u32;
            self.filled += self.interval * earned as u32;
        }
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Duration::from_millis(10), 5, start);
        let taken = |bucket: &mut TokenBucket, at: u64| {
            (0..100)
                .filter(|_| bucket.take(start + Duration::from_millis(at)))
                .count()
        };
        assert_eq!(taken(&mut bucket, 0), 5);
        assert_eq!(taken(&mut bucket, 9), 0);
        assert_eq!(taken(&mut bucket, 25), 2);
        assert_eq!(taken(&mut bucket, 30), 1);
        assert_eq!(taken(&mut bucket, 10_000), 5);
    }
}
