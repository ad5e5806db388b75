//! Median and extremes of the runs of one figure.

use serde::{Deserialize, Serialize};

/// Median, extremes and every run of a figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lowest run.
    pub min: f64,
    /// The highest run.
    pub max: f64,
    /// All runs.
    pub runs: Vec<f64>,
}

impl Spread {
    /// Summarises at least one run.
    pub fn of(runs: Vec<f64>) -> Self {
        Self {
            median: median(runs.clone()),
            min: runs.iter().copied().fold(f64::INFINITY, f64::min),
            max: runs.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            runs,
        }
    }
}

/// The median, or NaN without samples.
pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => samples[middle],
        _ => (samples[middle - 1] + samples[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn half_of_the_runs_lie_on_either_side_of_the_median(
            runs in prop::collection::vec(0.0..1e6, 1..20)
        ) {
            let spread = Spread::of(runs.clone());
            let half = runs.len().div_ceil(2);
            prop_assert!(runs.iter().filter(|run| **run <= spread.median).count() >= half);
            prop_assert!(runs.iter().filter(|run| **run >= spread.median).count() >= half);
            prop_assert!(runs.contains(&spread.min) && runs.contains(&spread.max));
            prop_assert!(runs.iter().all(|run| (spread.min..=spread.max).contains(run)));
            prop_assert_eq!(spread.runs, runs);
        }
    }

    #[test]
    fn the_median_of_odd_even_and_no_samples() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }
}
