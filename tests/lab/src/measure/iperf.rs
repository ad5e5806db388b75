//! TCP throughput by iperf3, its own figures.

mod ends;
mod report;

use std::collections::BTreeMap;
use std::thread;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{Fact, Lab, Site};

/// One run of iperf3.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// TCP connections.
    pub streams: u16,
    /// Seconds, as the receiver measured.
    pub seconds: f64,
    /// Payload that arrived, in Gbit/s.
    pub gbit_per_s: f64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Connections over which nothing arrived in the last whole second.
    pub stalled: u16,
    /// Whole seconds of single connections in which nothing arrived, summed up.
    pub still_seconds: u64,
    /// iperf3 did not end in time and was ended: its two ends could not exchange what they had
    /// measured, so that these figures are of the seconds that the receivers had told by then.
    pub cut_off: bool,
}

/// One run in each inner family, at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tcp {
    /// All together; the seconds are those of the longest.
    #[serde(flatten)]
    pub total: Throughput,
    /// Each by the name of its family.
    pub by_family: BTreeMap<String, Throughput>,
}

impl Tcp {
    fn of(by_family: BTreeMap<String, Throughput>) -> Self {
        let mut total = Throughput::default();
        for each in by_family.values() {
            total.streams += each.streams;
            total.seconds = total.seconds.max(each.seconds);
            total.gbit_per_s += each.gbit_per_s;
            total.retransmits += each.retransmits;
            total.stalled += each.stalled;
            total.still_seconds += each.still_seconds;
            total.cut_off |= each.cut_off;
        }
        Self { total, by_family }
    }

    /// Data arrived, in each family, and iperf3 came to its end.
    pub fn fact(&self, key: &str) -> Fact {
        let total = &self.total;
        let mut figure = format!(
            "{:.3} Gbit/s over {} streams in {:.1} s, {} retransmits",
            total.gbit_per_s, total.streams, total.seconds, total.retransmits
        );
        if self.by_family.len() > 1 {
            for (family, each) in &self.by_family {
                figure += &format!("; {family} {:.3} over {}", each.gbit_per_s, each.streams);
            }
        }
        if total.cut_off {
            figure += "; iperf3 did not end in time";
        }
        let mut each = self.by_family.values();
        let holds = each.len() > 0 && each.all(|each| each.gbit_per_s > 0.0) && !total.cut_off;
        Fact::new(key, holds, figure)
    }
}

/// What the clients send.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// TCP connections.
    pub streams: u16,
    /// Seconds, without the warm-up.
    pub duration: u32,
    /// Seconds at first that do not count.
    pub warm_up: u32,
    /// TCP's congestion control; absent: the machine's own.
    pub congestion: Option<&'static str>,
    /// Octets that all connections together have on their way at most; absent: as
    /// many as TCP finds good, which is as many as the queues take and more.
    pub window: Option<u32>,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The clients.
    There,
    /// The servers.
    Back,
    /// Both at the same time; the figures are of both together.
    Both,
}

/// Runs clients on `from` against servers on `to`, one of each for every inner family, and deals
/// the streams out to them, at least one each.
pub fn run(lab: &Lab, from: Site, to: Site, load: Load, way: Way) -> Result<Tcp> {
    let families = lab.options().inner.families();
    let by_family = thread::scope(|scope| {
        let window = load
            .window
            .map(|window| window / u32::from(load.streams.max(1)));
        let shares = deal(load.streams, families.len() as u16);
        let runs: Vec<_> = families
            .iter()
            .zip(shares)
            .map(|(&family, share)| {
                let share = Load {
                    streams: share,
                    window,
                    ..load
                };
                let run = move || ends::run(lab, (from, to), family, share, way);
                (family, scope.spawn(run))
            })
            .collect();
        let joined = runs.into_iter().map(|(family, run)| {
            let measured = run
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            measured.map(|throughput| (family.to_string(), throughput))
        });
        joined.collect::<Result<_>>()
    })?;
    Ok(Tcp::of(by_family))
}

/// The earlier of `hands` get what does not divide.
fn deal(streams: u16, hands: u16) -> impl Iterator<Item = u16> {
    (0..hands).map(move |hand| ((streams + hands - 1 - hand) / hands).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_without_data_fails_the_fact() {
        let throughput = |gbit_per_s| Throughput {
            streams: 2,
            seconds: 5.0,
            gbit_per_s,
            retransmits: 3,
            stalled: 0,
            still_seconds: 0,
            cut_off: false,
        };
        let tcp = |v4, v6| {
            let each = [("ipv4", v4), ("ipv6", v6)];
            Tcp::of(
                each.map(|(name, rate)| (name.to_owned(), throughput(rate)))
                    .into(),
            )
        };
        let both = tcp(1.0, 2.0);
        assert!(both.fact("tcp").holds);
        assert_eq!((both.total.gbit_per_s, both.total.streams), (3.0, 4));
        assert_eq!((both.total.seconds, both.total.retransmits), (5.0, 6));
        assert!(!tcp(1.0, 0.0).fact("tcp").holds);
        assert!(!Tcp::of(BTreeMap::new()).fact("tcp").holds);
        let mut cut_off = both.by_family;
        cut_off.insert(
            "ipv6".to_owned(),
            Throughput {
                cut_off: true,
                ..throughput(2.0)
            },
        );
        assert!(!Tcp::of(cut_off).fact("tcp").holds);
    }

    #[test]
    fn streams_are_dealt_out_and_nobody_goes_without() {
        let dealt = |streams, hands| deal(streams, hands).collect::<Vec<_>>();
        assert_eq!(dealt(5, 2), [3, 2]);
        assert_eq!(dealt(4, 1), [4]);
        assert_eq!(dealt(1, 2), [1, 1]);
    }
}
