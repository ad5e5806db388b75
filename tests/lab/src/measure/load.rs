//! How traffic spreads over the gateways of a VPC.

use anyhow::Result;

use crate::{Lab, Volume, Worker};

/// What every gateway has sealed and opened, in their order.
#[derive(Clone, Debug)]
pub struct Snapshot(Vec<(Volume, Volume)>);

impl Snapshot {
    /// The counters of a VPC's gateways now.
    pub fn take(lab: &Lab, vpc: u8) -> Result<Self> {
        Ok(Self::of(&lab.workers(vpc)?))
    }

    /// The counters of these workers.
    pub fn of(workers: &[Worker]) -> Self {
        Self(workers.iter().map(|w| (w.sealed, w.opened)).collect())
    }

    /// Gbit/s of inner IP packets per gateway since `earlier`: sealed, opened.
    pub fn gbit_per_s(&self, earlier: &Self, seconds: f64) -> Vec<(f64, f64)> {
        let rate = |now: Volume, then: Volume| {
            now.bytes.saturating_sub(then.bytes) as f64 * 8.0 / seconds / 1e9
        };
        let pairs = self.0.iter().zip(&earlier.0);
        pairs
            .map(|(now, then)| (rate(now.0, then.0), rate(now.1, then.1)))
            .collect()
    }

    /// Each gateway's part of all bytes sealed and opened, 0 to 1.
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
    fn rates_are_differences_over_time_and_shares_sum_to_one() {
        let then = Snapshot(vec![(volume(100), volume(0)), (volume(0), volume(0))]);
        let now = Snapshot(vec![
            (volume(1_000_000_100), volume(0)),
            (volume(0), volume(500_000_000)),
        ]);
        assert_eq!(now.gbit_per_s(&then, 2.0), [(4.0, 0.0), (0.0, 2.0)]);
        assert!((now.shares().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(Snapshot(vec![(volume(0), volume(0))]).shares(), [0.0]);
    }
}
