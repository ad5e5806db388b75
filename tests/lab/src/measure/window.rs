//! Loss, order and latency of flood packets in a time window.

use std::ops::Range;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::flood::Record;

/// Upper bound of a recorded latency: one minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// The packets of one direction in a time window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Window {
    /// Packets sent in the window.
    pub sent: u64,
    /// Packets sent in the window that never arrived.
    pub lost: u64,
    /// Packets sent in the window that arrived after a later packet of their flow.
    pub reordered: u64,
    /// Duplicates of packets sent in the window.
    pub duplicated: u64,
    /// The longest time without a received packet of a flow that sends, in milliseconds. It may begin before the window
    /// and end after it, and includes pauses of the flow.
    pub silence_ms: f64,
    /// Median one-way latency in microseconds.
    pub p50_us: f64,
    /// 99th percentile of the one-way latency in microseconds.
    pub p99_us: f64,
}

impl Window {
    /// Judges the packets that were sent in `window`, which is in nanoseconds since the flood began.
    pub fn of(record: &Record, window: &Range<u64>) -> Self {
        WindowSamples::of(record, window).figures()
    }
}

/// The packets of one or more windows, with all latencies.
#[derive(Clone, Debug)]
pub struct WindowSamples {
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

impl Default for WindowSamples {
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

impl WindowSamples {
    /// Like [`Window::of`].
    pub fn of(record: &Record, window: &Range<u64>) -> Self {
        let mut samples = Self::default();
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
                samples.duplicated += u64::from(again);
                samples.reordered += u64::from(late && !again);
                if !again {
                    let time = arrival.arrived.saturating_sub(arrival.sent);
                    samples.times.saturating_record(time);
                }
            }
            let before = last[flow]
                .replace(arrival.arrived)
                .unwrap_or(arrival.arrived);
            if arrival.arrived > window.start && before < window.end {
                samples.silence = samples.silence.max(arrival.arrived - before);
            }
        }
        for (sent, seen) in record.sent.iter().zip(&seen) {
            for (at, times) in sent.iter().zip(seen) {
                if window.contains(at) {
                    samples.sent += 1;
                    samples.lost += u64::from(*times == 0);
                }
            }
        }
        // A flow without a later arrival was silent until the end of the window.
        for (sent, last) in record.sent.iter().zip(&last) {
            let sends = sent.iter().any(|at| window.contains(at));
            let last_arrival = last.unwrap_or(sent.first().copied().unwrap_or(window.end));
            if sends && last_arrival < window.end {
                samples.silence = samples.silence.max(window.end - last_arrival.max(sent[0]));
            }
        }
        samples
    }

    /// Adds the packets of another direction or window.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
        self.silence = self.silence.max(other.silence);
        self.times += &other.times;
    }

    /// A quantile of the latency, 0 to 1, in microseconds.
    pub fn quantile_us(&self, part: f64) -> f64 {
        self.times.value_at_quantile(part) as f64 / 1e3
    }

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
    fn a_packet_counts_in_the_window_in_which_it_was_sent() {
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
    fn added_windows_have_the_packets_and_latencies_of_both() {
        let of = |arrived| WindowSamples::of(&record(&[0, 10], &[(0, arrived)]), &(0..100));
        let mut both = of(1_000);
        both.add(&of(9_000));
        assert_eq!((both.sent, both.lost), (4, 2));
        assert_eq!(both.quantile_us(0.5), 1.0);
        assert!((both.quantile_us(1.0) - 9.0).abs() < 0.01);
        assert_eq!(both.figures().silence_ms, of(9_000).figures().silence_ms);
    }

    #[test]
    fn a_silence_counts_in_each_window_that_it_overlaps() {
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
