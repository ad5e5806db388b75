//! What became, in one stretch of time, of the packets of a flood.

use std::ops::Range;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::flood::Record;

/// Packets that take longer count as this long: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// One direction's packets of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Window {
    /// Sent in it.
    pub sent: u64,
    /// Of those, never arrived.
    pub lost: u64,
    /// Of those, arrived after a later one of their flow.
    pub reordered: u64,
    /// Of those, arrived more than once: how often too often.
    pub duplicated: u64,
    /// The longest time in milliseconds, part of it in the window, in which a flow that sent heard
    /// nothing arrive; a flow's own pauses count too.
    pub silence_ms: f64,
    /// Median of the time from sending to arrival, in microseconds.
    pub p50_us: f64,
    /// 99th percentile of that.
    pub p99_us: f64,
}

impl Window {
    /// What happened to the packets that were sent in `window`, in nanoseconds since the flood
    /// began.
    pub fn of(record: &Record, window: &Range<u64>) -> Self {
        Passage::of(record, window).figures()
    }
}

/// Packets of one window or several, with all their times.
#[derive(Clone, Debug)]
pub struct Passage {
    /// [`Window::sent`].
    pub sent: u64,
    /// [`Window::lost`].
    pub lost: u64,
    /// [`Window::reordered`].
    pub reordered: u64,
    /// [`Window::duplicated`].
    pub duplicated: u64,
    silence: u64,
    times: Histogram<u64>,
}

impl Default for Passage {
    fn default() -> Self {
        Self {
            sent: 0,
            lost: 0,
            reordered: 0,
            duplicated: 0,
            silence: 0,
            times: Histogram::new_with_max(LONGEST_NS, 3)
                .unwrap_or_else(|_| unreachable!("fixed bounds, 3 digits")),
        }
    }
}

impl Passage {
    /// As [`Window::of`].
    pub fn of(record: &Record, window: &Range<u64>) -> Self {
        let mut passage = Self::default();
        let mut seen: Vec<Vec<u32>> = record.sent.iter().map(|sent| vec![0; sent.len()]).collect();
        let mut next: Vec<u32> = vec![0; record.sent.len()];
        let mut last: Vec<Option<u64>> = vec![None; record.sent.len()];
        for arrival in &record.arrivals {
            let flow = usize::from(arrival.flow);
            let late = arrival.number < next[flow];
            next[flow] = next[flow].max(arrival.number + 1);
            let times_seen = &mut seen[flow][arrival.number as usize];
            *times_seen += 1;
            let again = *times_seen > 1;
            if window.contains(&arrival.sent) {
                passage.duplicated += u64::from(again);
                passage.reordered += u64::from(late && !again);
                if !again {
                    let time = arrival.arrived.saturating_sub(arrival.sent);
                    passage.times.saturating_record(time);
                }
            }
            let before = last[flow]
                .replace(arrival.arrived)
                .unwrap_or(arrival.arrived);
            if arrival.arrived > window.start && before < window.end {
                passage.silence = passage.silence.max(arrival.arrived - before);
            }
        }
        for (sent, seen) in record.sent.iter().zip(&seen) {
            for (at, times) in sent.iter().zip(seen) {
                if window.contains(at) {
                    passage.sent += 1;
                    passage.lost += u64::from(*times == 0);
                }
            }
        }
        // A flow that never arrived again was silent to the window's end.
        for (sent, last) in record.sent.iter().zip(&last) {
            let sends = sent.iter().any(|at| window.contains(at));
            let heard = last.unwrap_or(sent.first().copied().unwrap_or(window.end));
            if sends && heard < window.end {
                passage.silence = passage.silence.max(window.end - heard.max(sent[0]));
            }
        }
        passage
    }

    /// Takes another direction's or window's packets in.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
        self.silence = self.silence.max(other.silence);
        self.times += &other.times;
    }

    /// The time that this part of the packets, 0 to 1, took at most, in microseconds.
    pub fn quantile_us(&self, part: f64) -> f64 {
        self.times.value_at_quantile(part) as f64 / 1e3
    }

    /// What is told of a window.
    pub fn figures(&self) -> Window {
        Window {
            sent: self.sent,
            lost: self.lost,
            reordered: self.reordered,
            duplicated: self.duplicated,
            silence_ms: self.silence as f64 / 1e6,
            p50_us: self.quantile_us(0.5),
            p99_us: self.quantile_us(0.99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::flood::Arrival;

    fn record(sent: &[u64], arrivals: &[(u32, u64)]) -> Record {
        let arrival = |&(number, arrived): &(u32, u64)| Arrival {
            flow: 0,
            number,
            sent: sent[number as usize],
            arrived,
        };
        Record {
            arrivals: arrivals.iter().map(arrival).collect(),
            sent: vec![sent.to_vec()],
        }
    }

    #[test]
    fn each_packet_counts_in_the_window_in_which_it_was_sent() {
        let sent = [0, 10, 20, 30, 40];
        let record = record(&sent, &[(0, 5), (2, 25), (1, 26), (2, 27), (4, 45)]);
        let all = Window::of(&record, &(0..100));
        assert_eq!(
            (all.sent, all.lost, all.reordered, all.duplicated),
            (5, 1, 1, 1)
        );
        assert_eq!((all.p50_us, all.p99_us), (0.005, 0.016));
        let early = Window::of(&record, &(0..10));
        assert_eq!(
            (early.sent, early.lost, early.reordered, early.duplicated),
            (1, 0, 0, 0)
        );
        let middle = Window::of(&record, &(10..20));
        assert_eq!(
            (middle.sent, middle.reordered, middle.duplicated),
            (1, 1, 0)
        );
    }

    #[test]
    fn windows_together_have_the_packets_and_times_of_each() {
        let of = |arrived| Passage::of(&record(&[0, 10], &[(0, arrived)]), &(0..100));
        let mut both = of(1_000);
        both.add(&of(9_000));
        assert_eq!((both.sent, both.lost), (4, 2));
        assert_eq!(both.quantile_us(0.5), 1.0);
        assert!((both.quantile_us(1.0) - 9.0).abs() < 0.01);
        assert_eq!(both.figures().silence_ms, of(9_000).figures().silence_ms);
    }

    #[test]
    fn a_silence_counts_wherever_it_reaches() {
        let sent: Vec<u64> = (0..10).map(|n| n * 1_000_000).collect();
        let on_time = |n: u32| (n, u64::from(n) * 1_000_000 + 10);
        let gap: Vec<_> = (0..10)
            .filter(|n| !(3..7).contains(n))
            .map(on_time)
            .collect();
        let record = record(&sent, &gap);
        let inside = Window::of(&record, &(4_000_000..5_000_000));
        assert_eq!((inside.silence_ms, inside.lost), (5.0, 1));
        assert_eq!(Window::of(&record, &(0..1_500_000)).silence_ms, 1.0);

        let dead: Vec<_> = (0..3).map(on_time).collect();
        let record = super::tests::record(&sent, &dead);
        let end = Window::of(&record, &(0..9_500_000));
        assert_eq!(end.silence_ms, (9_500_000 - 2_000_010) as f64 / 1e6);
    }
}
