//! When to repeat a question of ARP or NDP that was not answered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// From the first request to the second. Linux repeats its own after a second (`retrans_time_ms`, RFC 4861's
/// RetransTimer), so one lost packet would hold up a whole second's traffic. A neighbour is on the
/// link and answers within a few milliseconds.
const FIRST: Duration = Duration::from_millis(25);

/// Requests that are repeated at most. Each pause is twice the one before, as whoever does not
/// answer may be overloaded; after 775 ms the pace is the kernel's.
const TIMES: u32 = 5;

/// A neighbour that has stayed silent is asked so again after this time at the earliest: one that is
/// down costs the link no more than the kernel's own pace in the long run.
const REST: Duration = Duration::from_secs(10);

/// Neighbours that are asked so at a time; the others have the kernel's pace. Somebody who scans a
/// subnet through us makes it speak of each address once, not six times.
const MOST: usize = 256;

/// The neighbours whose answer is awaited.
#[derive(Default)]
pub(crate) struct Retries(BTreeMap<IpAddr, Retry>);

struct Retry {
    /// Requests that were repeated.
    count: u32,
    /// When the next one is due, and after the last when the neighbour has rested.
    due: Instant,
}

impl Retries {
    /// Notes that a neighbour was asked for whose MAC address is not known.
    pub(crate) fn asked(&mut self, neighbour: IpAddr, now: Instant) {
        if self.0.len() < MOST {
            let due = now + FIRST;
            let first = Retry { count: 0, due };
            self.0.entry(neighbour).or_insert(first);
        }
    }

    /// Forgets those whose answer has come, and those that have rested.
    pub(crate) fn settle(&mut self, now: Instant, known: impl Fn(IpAddr) -> bool) {
        self.0.retain(|&neighbour, retry| {
            let rested = retry.is_last() && retry.due <= now;
            !known(neighbour) && !rested
        });
    }

    /// When the next request is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let waiting = self.0.values().filter(|retry| !retry.is_last());
        waiting.map(|retry| retry.due).min()
    }

    /// Those that are to be asked for again now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<IpAddr> {
        let mut due = Vec::new();
        for (&neighbour, retry) in &mut self.0 {
            if !retry.is_last() && retry.due <= now {
                retry.count += 1;
                retry.due = now + retry.pause();
                due.push(neighbour);
            }
        }
        due
    }
}

impl Retry {
    fn is_last(&self) -> bool {
        self.count == TIMES
    }

    fn pause(&self) -> Duration {
        if self.is_last() {
            REST
        } else {
            FIRST * (1 << self.count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 2));

    fn nobody(_: IpAddr) -> bool {
        false
    }

    /// Milliseconds after `start` at which a silent neighbour is asked again, if it is wanted all the time.
    fn moments(start: Instant, span: Duration) -> Vec<u128> {
        let mut retries = Retries::default();
        let mut moments = Vec::new();
        let mut now = start;
        while now < start + span {
            retries.settle(now, nobody);
            retries.asked(ONE, now);
            if retries.take_due(now) == [ONE] {
                moments.push((now - start).as_millis());
            }
            now += Duration::from_millis(5);
        }
        moments
    }

    #[test]
    fn the_pauses_grow_and_the_silent_are_left_alone() {
        let start = Instant::now();
        let expected = [25, 75, 175, 375, 775];
        assert_eq!(moments(start, Duration::from_secs(10)), expected);
        // The next question begins 10 s after the last request.
        let again = expected.map(|moment| moment + 10_775);
        let both = [expected, again].concat();
        assert_eq!(moments(start, Duration::from_secs(20)), both);
    }

    #[test]
    fn an_answer_ends_it_and_a_later_question_begins_anew() {
        let mut retries = Retries::default();
        let now = Instant::now();
        retries.asked(ONE, now);
        assert_eq!(retries.due(), Some(now + FIRST));
        retries.settle(now, |neighbour| neighbour == ONE);
        assert_eq!(retries.due(), None);
        retries.asked(ONE, now + REST);
        assert_eq!(retries.due(), Some(now + REST + FIRST));
    }

    #[test]
    fn a_scanned_subnet_is_not_asked_six_times() {
        let mut retries = Retries::default();
        let now = Instant::now();
        for host in 0..10_000 {
            retries.asked(
                std::net::Ipv4Addr::from_bits(0x0a01_0000 + host).into(),
                now,
            );
        }
        assert_eq!(retries.take_due(now + FIRST).len(), MOST);
    }
}
