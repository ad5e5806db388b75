//! What is beyond the noise. docs/performance.md gives the rule and its reasons.

use statrs::stats_tests::Alternative;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

use super::figure::{Better, Figure, Sample};

/// Medians that differ by less are alike, however quiet the controls were.
const LEAST: f64 = 0.03;
/// How often chance alone may call figures of one distribution different.
const CHANCE: f64 = 0.01;
/// Runs of each side whose spreads meet by chance alone all but once in 126 times. Those of fewer must be further apart.
const ENOUGH: usize = 5;
/// Runs of each side that tell anything of the noise.
const FEWEST: usize = 3;

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Better,
    Worse,
    /// Nothing beyond the noise.
    Same,
    /// The noise is unknown.
    Unjudged,
}

/// The least change that is worth a word, as a part of the larger median, where the controls moved by `moves`.
pub fn least(mut moves: Vec<f64>) -> f64 {
    moves.sort_by(f64::total_cmp);
    let beyond = (moves.len() as f64 * CHANCE) as usize;
    let most = moves.iter().rev().nth(beyond);
    most.copied().unwrap_or_default().max(LEAST)
}

/// By how much two medians differ, as a part of the larger one.
pub fn moved(one: f64, other: f64) -> f64 {
    let larger = one.abs().max(other.abs());
    if larger == 0.0 {
        0.0
    } else {
        (one - other).abs() / larger
    }
}

/// Holds two measurements of one figure against each other.
pub fn judge(before: &Figure, after: &Figure, least: f64) -> Verdict {
    let (one, other) = (before.sample.median(), after.sample.median());
    if !(one.is_finite() && other.is_finite()) {
        return Verdict::Unjudged;
    }
    match differ(&before.sample, &after.sample, least) {
        None => Verdict::Unjudged,
        Some(false) => Verdict::Same,
        Some(true) if (other > one) == (before.better == Better::More) => Verdict::Better,
        Some(true) => Verdict::Worse,
    }
}

fn differ(one: &Sample, other: &Sample, least: f64) -> Option<bool> {
    let apart = || moved(one.median(), other.median()) > least;
    match (one, other) {
        (Sample::Exact(one), Sample::Exact(other)) => Some(one != other),
        _ if one.runs().min(other.runs()) < FEWEST => None,
        _ => Some(apart() && (spreads_differ(one, other) || ranks_differ(one, other))),
    }
}

/// The rank-sum test of Mann and Whitney: it asks for no shape of the noise, and a single slow run spoils nothing.
fn ranks_differ(one: &Sample, other: &Sample) -> bool {
    let (Sample::Runs(one), Sample::Runs(other)) = (one, other) else {
        return false;
    };
    // For samples of one size the exact method of statrs 0.19.1 gives the complement of the probability. The normal
    // approximation is close from 6 runs on, and never says yes to fewer, of which the spreads tell as much.
    let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
    let result = mannwhitneyu(one, other, method, Alternative::TwoSided);
    result.is_ok_and(|(_, chance)| chance <= CHANCE)
}

/// Whether the spreads do not meet; those of few runs must be further apart than the wider of them is wide.
fn spreads_differ(one: &Sample, other: &Sample) -> bool {
    let (one_spread, other_spread) = (one.extremes(), other.extremes());
    let gap = (other_spread.0 - one_spread.1).max(one_spread.0 - other_spread.1);
    let width = |(min, max): (f64, f64)| max - min;
    let least = match one.runs().min(other.runs()) < ENOUGH {
        true => width(one_spread).max(width(other_spread)),
        false => 0.0,
    };
    gap > least
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::*;

    fn judged(before: Sample, after: Sample) -> Verdict {
        let figure = |sample| Figure::more("a figure".to_owned(), "Mpps", sample);
        judge(&figure(before), &figure(after), LEAST)
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
    fn what_is_known_of_the_noise_decides() {
        let of = |runs: &[f64]| Sample::Runs(runs.to_vec());
        let five = of(&[10.0, 10.1, 10.2, 10.3, 10.4]);
        // Beyond the noise, but too little for a word.
        assert_eq!(
            judged(five.clone(), of(&[10.45, 10.46, 10.47, 10.48, 10.49])),
            Verdict::Same
        );
        assert_eq!(
            judged(five.clone(), of(&[10.9, 10.8, 10.7, 10.6, 11.0])),
            Verdict::Better
        );
        // One stray run among nine does not hide what the others say; among five nothing is left.
        let nine = of(&[10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7, 10.8]);
        let stray = of(&[9.0, 9.1, 9.2, 9.3, 9.05, 9.15, 9.25, 9.35, 12.0]);
        assert_eq!(judged(nine, stray), Verdict::Worse);
        let stray = of(&[9.0, 9.1, 9.2, 9.3, 12.0]);
        assert_eq!(judged(five.clone(), stray), Verdict::Same);
        // Three runs are believed if they are far apart.
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
    fn extremes_must_not_meet() {
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
    fn what_is_counted_has_no_noise() {
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
    fn controls_that_moved_ask_for_more() {
        assert_eq!(least(vec![]), LEAST);
        assert_eq!(least(vec![0.01; 50]), LEAST);
        assert_eq!(least(vec![0.01, 0.2, 0.1]), 0.2);
        // One in a hundred may have moved for reasons of its own.
        let many: Vec<f64> = (0..200).map(|n| f64::from(n) / 1000.0).collect();
        assert_eq!(least(many), 0.197);
        assert_eq!(
            [moved(0.0, 0.0), moved(4.0, 3.0), moved(3.0, 4.0)],
            [0.0, 0.25, 0.25]
        );
    }

    /// Held by counting: of figures that did not change, chance calls no more than one in a hundred different. The
    /// numbers are always the same ones.
    #[test]
    fn chance_is_held() {
        let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        // Noise of 20 %, so that the least difference decides little.
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
