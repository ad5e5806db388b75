//! Decides whether a difference is larger than the noise. docs/performance.md gives the rule and its reasons.

use statrs::stats_tests::Alternative;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

use super::figure::{Better, Figure, Sample};

/// Medians that differ by a smaller part count as equal, however little the controls moved.
const MIN_DIFFERENCE: f64 = 0.03;
/// The probability that two samples of one distribution are judged different.
const CHANCE: f64 = 0.01;
/// With this many runs on each side, disjoint spreads happen by chance once in 126 times. With fewer runs the gap must be wider.
const ENOUGH_RUNS: usize = 5;
/// With fewer runs on each side the noise is unknown.
const MIN_RUNS: usize = 3;

/// The result of comparing one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Better,
    Worse,
    /// No difference beyond the noise.
    Same,
    /// The noise is unknown.
    Unjudged,
}

/// The smallest difference that is reported, as a part of the larger median. `drifts` are the differences of the controls.
pub fn threshold(mut drifts: Vec<f64>) -> f64 {
    drifts.sort_by(f64::total_cmp);
    let beyond = (drifts.len() as f64 * CHANCE) as usize;
    let most = drifts.iter().rev().nth(beyond);
    most.copied().unwrap_or_default().max(MIN_DIFFERENCE)
}

/// The difference of two medians, as a part of the larger one.
pub fn relative_difference(one: f64, other: f64) -> f64 {
    let larger = one.abs().max(other.abs());
    if larger == 0.0 {
        0.0
    } else {
        (one - other).abs() / larger
    }
}

/// Compares two measurements of one figure.
pub fn judge(before: &Figure, after: &Figure, threshold: f64) -> Verdict {
    let (one, other) = (before.sample.median(), after.sample.median());
    if !(one.is_finite() && other.is_finite()) {
        return Verdict::Unjudged;
    }
    match differ(&before.sample, &after.sample, threshold) {
        None => Verdict::Unjudged,
        Some(false) => Verdict::Same,
        Some(true) if (other > one) == (before.better == Better::More) => Verdict::Better,
        Some(true) => Verdict::Worse,
    }
}

fn differ(one: &Sample, other: &Sample, threshold: f64) -> Option<bool> {
    let apart = || relative_difference(one.median(), other.median()) > threshold;
    match (one, other) {
        (Sample::Exact(one), Sample::Exact(other)) => Some(one != other),
        _ if one.runs().min(other.runs()) < MIN_RUNS => None,
        _ => Some(apart() && (spreads_differ(one, other) || ranks_differ(one, other))),
    }
}

/// The rank-sum test of Mann and Whitney. It assumes no distribution of the noise and tolerates a single slow run.
fn ranks_differ(one: &Sample, other: &Sample) -> bool {
    let (Sample::Runs(one), Sample::Runs(other)) = (one, other) else {
        return false;
    };
    // For samples of one size the exact method of statrs 0.19.1 gives the complement of the probability. The normal
    // approximation is close from 6 runs on and never significant below; there the spreads decide.
    let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
    let result = mannwhitneyu(one, other, method, Alternative::TwoSided);
    result.is_ok_and(|(_, chance)| chance <= CHANCE)
}

/// Whether the spreads are disjoint. With few runs their gap must exceed the width of the wider spread.
fn spreads_differ(one: &Sample, other: &Sample) -> bool {
    let (one_spread, other_spread) = (one.extremes(), other.extremes());
    let gap = (other_spread.0 - one_spread.1).max(one_spread.0 - other_spread.1);
    let width = |(min, max): (f64, f64)| max - min;
    let min_gap = match one.runs().min(other.runs()) < ENOUGH_RUNS {
        true => width(one_spread).max(width(other_spread)),
        false => 0.0,
    };
    gap > min_gap
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::*;

    fn judged(before: Sample, after: Sample) -> Verdict {
        let figure = |sample| Figure::more("a figure".to_owned(), "Mpps", sample);
        judge(&figure(before), &figure(after), MIN_DIFFERENCE)
    }

    fn extremes(min: f64, median: f64, max: f64, runs: u32) -> Sample {
        Sample::Extremes {
            median,
            min,
            max,
            runs,
        }
    }

    #[test]
    fn a_verdict_depends_on_the_runs_behind_a_figure() {
        let of = |runs: &[f64]| Sample::Runs(runs.to_vec());
        let five = of(&[10.0, 10.1, 10.2, 10.3, 10.4]);
        // Beyond the noise, but below the smallest reported difference.
        assert_eq!(
            judged(five.clone(), of(&[10.45, 10.46, 10.47, 10.48, 10.49])),
            Verdict::Same
        );
        assert_eq!(
            judged(five.clone(), of(&[10.9, 10.8, 10.7, 10.6, 11.0])),
            Verdict::Better
        );
        // Nine runs tolerate one outlier; five do not.
        let nine = of(&[10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7, 10.8]);
        let stray = of(&[9.0, 9.1, 9.2, 9.3, 9.05, 9.15, 9.25, 9.35, 12.0]);
        assert_eq!(judged(nine, stray), Verdict::Worse);
        let stray = of(&[9.0, 9.1, 9.2, 9.3, 12.0]);
        assert_eq!(judged(five.clone(), stray), Verdict::Same);
        // Three runs suffice if the gap is wide.
        let three = of(&[10.0, 10.2, 10.4]);
        assert_eq!(
            judged(three.clone(), of(&[10.7, 10.8, 10.9])),
            Verdict::Same
        );
        assert_eq!(judged(three, of(&[10.9, 11.0, 11.1])), Verdict::Better);
        assert_eq!(judged(of(&[1.0, 1.0]), of(&[9.0, 9.0])), Verdict::Unjudged);
        assert_eq!(
            judged(Sample::Single(1.0), Sample::Single(9.0)),
            Verdict::Unjudged
        );
        assert_eq!(judged(five, of(&[f64::NAN; 5])), Verdict::Unjudged);
    }

    #[test]
    fn extremes_must_be_disjoint() {
        let before = extremes(58.0, 59.0, 64.0, 9);
        assert_eq!(
            judged(before.clone(), extremes(63.9, 70.0, 99.0, 9)),
            Verdict::Same
        );
        assert_eq!(
            judged(before.clone(), extremes(64.1, 70.0, 99.0, 9)),
            Verdict::Better
        );
        assert_eq!(judged(before, extremes(64.1, 70.0, 99.0, 4)), Verdict::Same);
    }

    #[test]
    fn counted_figures_have_no_noise() {
        assert_eq!(
            judged(Sample::Exact(1000.0), Sample::Exact(1001.0)),
            Verdict::Better
        );
        assert_eq!(
            judged(Sample::Exact(0.0), Sample::Exact(0.0)),
            Verdict::Same
        );
    }

    #[test]
    fn controls_that_drift_raise_the_threshold() {
        assert_eq!(threshold(vec![]), MIN_DIFFERENCE);
        assert_eq!(threshold(vec![0.01; 50]), MIN_DIFFERENCE);
        assert_eq!(threshold(vec![0.01, 0.2, 0.1]), 0.2);
        // One control in a hundred may be an outlier.
        let many: Vec<f64> = (0..200).map(|n| f64::from(n) / 1000.0).collect();
        assert_eq!(threshold(many), 0.197);
        assert_eq!(
            [
                relative_difference(0.0, 0.0),
                relative_difference(4.0, 3.0),
                relative_difference(3.0, 4.0)
            ],
            [0.0, 0.25, 0.25]
        );
    }

    /// Counts how often two samples of one distribution are judged different: at most once in a hundred times. The
    /// random numbers are fixed.
    #[test]
    fn unchanged_figures_are_rarely_judged_different() {
        let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        // Noise of 20 %, so that MIN_DIFFERENCE decides little.
        let mut run = || 1.0 + 0.4 * (0..4).map(|_| random.random::<f64>() - 0.5).sum::<f64>();
        for runs in [3, 4, 5, 6, 9] {
            let (mut called, rounds) = (0, 3000);
            for _ in 0..rounds {
                let mut sample = || Sample::Runs((0..runs).map(|_| run()).collect());
                called += u32::from(judged(sample(), sample()) != Verdict::Same);
            }
            // The bound is three deviations above 1 %.
            assert!(called <= 46, "{called} of {rounds} with {runs} runs");
        }
    }
}
