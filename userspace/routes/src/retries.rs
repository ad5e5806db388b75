//! Schedules the retries of unanswered ARP and NDP requests.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// Delay of the first retry. Linux retries after one second (`retrans_time_ms`, RFC 4861's RetransTimer), so
/// one lost packet would delay traffic for a second. A neighbour on the link answers within a few
/// milliseconds.
const FIRST_DELAY: Duration = Duration::from_millis(25);

/// Maximum number of retries. Each delay is twice the previous one, since a neighbour that does not answer may be
/// overloaded. After 775 ms only the kernel retries.
const MAX_RETRIES: u32 = 5;

/// Minimum time from the last retry to the next series. A neighbour that is down then causes no more traffic in the
/// long run than the kernel's own retries.
const COOLDOWN: Duration = Duration::from_secs(10);

/// Maximum number of neighbours with retries. For others only the kernel retries. A subnet scan through the gateway so
/// causes one request per address, not six.
const MAX_NEIGHBOURS: usize = 256;

/// The neighbours that have not answered.
#[derive(Default)]
pub(crate) struct Retries(BTreeMap<IpAddr, Retry>);

struct Retry {
    /// Retries so far.
    count: u32,
    /// Time of the next retry; after the last retry, the end of the cooldown.
    due: Instant,
}

impl Retries {
    /// Schedules retries for a neighbour without a known MAC address that was probed at `now`.
    pub(crate) fn schedule(&mut self, neighbour: IpAddr, now: Instant) {
        if self.0.len() < MAX_NEIGHBOURS {
            let due = now + FIRST_DELAY;
            let first = Retry { count: 0, due };
            self.0.entry(neighbour).or_insert(first);
        }
    }

    /// Removes the neighbours that have answered, and those with an expired cooldown.
    pub(crate) fn remove_finished(&mut self, now: Instant, known: impl Fn(IpAddr) -> bool) {
        self.0.retain(|&neighbour, retry| {
            let expired = retry.is_last() && retry.due <= now;
            !known(neighbour) && !expired
        });
    }

    /// The time of the next retry.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let waiting = self.0.values().filter(|retry| !retry.is_last());
        waiting.map(|retry| retry.due).min()
    }

    /// The neighbours to probe again now. Schedules their next retry.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<IpAddr> {
        let mut due = Vec::new();
        for (&neighbour, retry) in &mut self.0 {
            if !retry.is_last() && retry.due <= now {
                retry.count += 1;
                retry.due = now + retry.delay();
                due.push(neighbour);
            }
        }
        due
    }
}

impl Retry {
    fn is_last(&self) -> bool {
        self.count == MAX_RETRIES
    }

    fn delay(&self) -> Duration {
        if self.is_last() {
            COOLDOWN
        } else {
            FIRST_DELAY * (1 << self.count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 2));

    fn unknown(_: IpAddr) -> bool {
        false
    }

    /// Milliseconds from `start` to each retry, for a neighbour that does not answer and is requested all the time.
    fn retry_times(start: Instant, span: Duration) -> Vec<u128> {
        let mut retries = Retries::default();
        let mut times = Vec::new();
        let mut now = start;
        while now < start + span {
            retries.remove_finished(now, unknown);
            retries.schedule(ONE, now);
            if retries.take_due(now) == [ONE] {
                times.push((now - start).as_millis());
            }
            now += Duration::from_millis(5);
        }
        times
    }

    #[test]
    fn delays_double_and_a_cooldown_follows_the_last_retry() {
        let start = Instant::now();
        let expected = [25, 75, 175, 375, 775];
        assert_eq!(retry_times(start, Duration::from_secs(10)), expected);
        // The next series starts 10 s after the last retry.
        let again = expected.map(|time| time + 10_775);
        let both = [expected, again].concat();
        assert_eq!(retry_times(start, Duration::from_secs(20)), both);
    }

    #[test]
    fn an_answer_ends_the_retries_and_a_later_probe_starts_a_new_series() {
        let mut retries = Retries::default();
        let now = Instant::now();
        retries.schedule(ONE, now);
        assert_eq!(retries.next_due(), Some(now + FIRST_DELAY));
        retries.remove_finished(now, |neighbour| neighbour == ONE);
        assert_eq!(retries.next_due(), None);
        retries.schedule(ONE, now + COOLDOWN);
        assert_eq!(retries.next_due(), Some(now + COOLDOWN + FIRST_DELAY));
    }

    #[test]
    fn a_subnet_scan_causes_a_limited_number_of_retries() {
        let mut retries = Retries::default();
        let now = Instant::now();
        for host in 0..10_000 {
            retries.schedule(
                std::net::Ipv4Addr::from_bits(0x0a01_0000 + host).into(),
                now,
            );
        }
        assert_eq!(retries.take_due(now + FIRST_DELAY).len(), MAX_NEIGHBOURS);
    }
}
