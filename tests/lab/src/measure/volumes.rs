//! The traffic volume of each gateway of a VPC.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Lab;
use crate::status::{Volume, Worker};

/// Waits until no gateway seals packets any more, for at most 5 s. Messages between demuxes, which never pause, do not count.
///
/// A TCP sender flushes its queue after its test has ended. A packet in flight while a role stops would be missing from the
/// sums.
pub fn settle(lab: &Lab) -> Result<()> {
    const QUIET: Duration = Duration::from_millis(300);
    const LIMIT: Duration = Duration::from_secs(5);
    let take = || -> Result<Vec<u64>> {
        let workers = [lab.workers(1)?, lab.workers(2)?].concat();
        let sealed = |worker: &Worker| worker.sealed.packets.saturating_sub(worker.control_sealed);
        Ok(workers.iter().map(sealed).collect())
    };
    let start = Instant::now();
    let mut last = take()?;
    while start.elapsed() < LIMIT {
        thread::sleep(QUIET);
        let now = take()?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(())
}

/// Gbit/s of inner packets through one gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    pub sealed: f64,
    pub opened: f64,
}

/// The packets that each gateway has sealed and opened, in the order of the gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(Vec<(Volume, Volume)>);

impl Snapshot {
    /// Reads the counters of a VPC's gateways.
    pub fn take(lab: &Lab, vpc: u8) -> Result<Self> {
        Ok(Self::of(&lab.workers(vpc)?))
    }

    /// The counters of these workers.
    pub fn of(workers: &[Worker]) -> Self {
        Self(workers.iter().map(|w| (w.sealed, w.opened)).collect())
    }

    /// Gbit/s of inner IP packets per gateway since `earlier`.
    pub fn gbit_per_s(&self, earlier: &Self, seconds: f64) -> Vec<Rate> {
        let rate = |now: Volume, then: Volume| {
            now.bytes.saturating_sub(then.bytes) as f64 * 8.0 / seconds / 1e9
        };
        let pairs = self.0.iter().zip(&earlier.0);
        pairs
            .map(|(now, then)| Rate {
                sealed: rate(now.0, then.0),
                opened: rate(now.1, then.1),
            })
            .collect()
    }

    /// Each gateway's share of all bytes sealed and opened, 0 to 1.
    pub fn shares(&self) -> Vec<f64> {
        let bytes = |(sealed, opened): &(Volume, Volume)| sealed.bytes + opened.bytes;
        let total: u64 = self.0.iter().map(bytes).sum();
        self.0
            .iter()
            .map(|gateway| bytes(gateway) as f64 / total.max(1) as f64)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(bytes: u64) -> Volume {
        Volume { packets: 1, bytes }
    }

    #[test]
    fn rates_are_differences_over_time_and_shares_add_up_to_one() {
        let then = Snapshot(vec![(volume(100), volume(0)), (volume(0), volume(0))]);
        let now = Snapshot(vec![
            (volume(1_000_000_100), volume(0)),
            (volume(0), volume(500_000_000)),
        ]);
        let rate = |sealed, opened| Rate { sealed, opened };
        let rates = now.gbit_per_s(&then, 2.0);
        assert_eq!(rates, [rate(4.0, 0.0), rate(0.0, 2.0)]);
        assert!((now.shares().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(Snapshot(vec![(volume(0), volume(0))]).shares(), [0.0]);
    }
}
