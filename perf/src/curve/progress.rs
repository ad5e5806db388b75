//! What is being done, and how long the rest will take.

use std::time::{Duration, Instant};

/// Steps of known weight, told on standard error as they come.
pub struct Progress {
    begun: Instant,
    /// Seconds that all steps together were expected to take.
    planned: f64,
    /// Of those, the steps that are done.
    done: f64,
}

impl Progress {
    /// Begins now, with so many seconds of work expected.
    pub fn new(planned: f64) -> Self {
        Self {
            begun: Instant::now(),
            planned,
            done: 0.0,
        }
    }

    /// Says what comes next.
    pub fn say(&self, what: &str) {
        let elapsed = self.begun.elapsed();
        let left = remaining(elapsed, self.planned, self.done);
        eprintln!(
            "[{:6.1} s, {} left] {what}",
            elapsed.as_secs_f64(),
            clock(left)
        );
    }

    /// A step that was expected to take so many seconds is done.
    pub fn done(&mut self, seconds: f64) {
        self.done += seconds;
    }
}

/// The rest as planned, as much slower or faster as what is done was.
fn remaining(elapsed: Duration, planned: f64, done: f64) -> Duration {
    let pace = if done > 0.0 {
        elapsed.as_secs_f64() / done
    } else {
        1.0
    };
    Duration::from_secs_f64((planned - done).max(0.0) * pace)
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_as_slow_as_what_is_done_was() {
        let left = |elapsed, planned, done| {
            remaining(Duration::from_secs(elapsed), planned, done).as_secs_f64()
        };
        assert_eq!(left(0, 100.0, 0.0), 100.0);
        assert_eq!(left(30, 100.0, 20.0), 120.0);
        assert_eq!(left(10, 100.0, 20.0), 40.0);
        assert_eq!(left(150, 100.0, 100.0), 0.0);
        assert_eq!(left(150, 100.0, 120.0), 0.0);
    }

    #[test]
    fn a_time_is_told_in_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_secs_f64(59.6)), "1:00");
        assert_eq!(clock(Duration::from_secs(605)), "10:05");
    }
}
