//! TCP throughput, as iperf3 measures it.

mod ends;
mod load;
mod report;

use std::collections::BTreeMap;
use std::thread;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::direction::Directions;
use crate::{Fact, Lab, Site};

pub use load::Load;
pub use report::Throughput;

/// iperf3 in all inner families at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tcp {
    /// The sum of all runs; the seconds are those of the longest run.
    #[serde(flatten)]
    pub total: Throughput,
    /// The run of each family by its name, `ipv4` or `ipv6`.
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

    /// Holds if data arrived in each family and iperf3 ended in time.
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

/// Runs a client on `from` and a server on `to` for each inner family. Splits the streams between the families, with at
/// least one for each.
pub fn run(lab: &Lab, from: Site, to: Site, load: Load, directions: Directions) -> Result<Tcp> {
    let families = lab.options().inner.families();
    let by_family = thread::scope(|scope| {
        let window = load
            .window
            .map(|window| window / u32::from(load.streams.max(1)));
        let shares = split(load.streams, families.len() as u16);
        let runs: Vec<_> = families
            .iter()
            .zip(shares)
            .map(|(&family, share)| {
                let share = Load {
                    streams: share,
                    window,
                    ..load
                };
                let run = move || ends::run(lab, (from, to), family, share, directions);
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

/// Splits streams evenly. The first parts get the remainder.
fn split(streams: u16, parts: u16) -> impl Iterator<Item = u16> {
    (0..parts).map(move |part| ((streams + parts - 1 - part) / parts).max(1))
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
    fn streams_are_split_with_at_least_one_for_each_part() {
        let parts = |streams, parts| split(streams, parts).collect::<Vec<_>>();
        assert_eq!(parts(5, 2), [3, 2]);
        assert_eq!(parts(4, 1), [4]);
        assert_eq!(parts(1, 2), [1, 1]);
    }
}
