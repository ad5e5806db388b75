//! Progress of the measurement on standard error, with the remaining time.

use std::time::{Duration, Instant};

/// Progress over steps with expected durations.
pub struct Progress {
    started: Instant,
    /// Expected seconds of all steps.
    planned: f64,
    /// Expected seconds of the finished steps.
    done: f64,
}

impl Progress {
    /// Starts the clock, with the expected seconds of all steps.
    pub fn new(planned: f64) -> Self {
        Self {
            started: Instant::now(),
            planned,
            done: 0.0,
        }
    }

    /// Prints a message with the elapsed and the remaining time.
    pub fn report(&self, message: &str) {
        let elapsed = self.started.elapsed();
        let left = remaining(elapsed, self.planned, self.done);
        eprintln!(
            "[{:6.1} s, {} left] {message}",
            elapsed.as_secs_f64(),
            clock(left)
        );
    }

    /// Records that a step with these expected seconds is finished.
    pub fn done(&mut self, seconds: f64) {
        self.done += seconds;
    }
}

/// The expected rest, scaled by the pace of the finished steps.
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
    fn the_remaining_time_follows_the_pace_so_far() {
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
    fn a_time_is_shown_in_minutes_and_seconds() {
        assert_eq!(clock(Duration::from_secs_f64(59.6)), "1:00");
        assert_eq!(clock(Duration::from_secs(605)), "10:05");
    }
}
