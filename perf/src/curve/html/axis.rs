//! The range and the marks of an axis.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// The kind of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Begins at zero.
    FromZero,
    /// Begins and ends near the values, for values that differ little. The range is at least `least` wide, so that
    /// tiny differences do not look large.
    Near { least: f64 },
    /// Logarithmic.
    Log,
}

/// An axis for a set of values.
#[derive(Clone, Debug)]
pub struct Axis {
    log: bool,
    ends: Range<f64>,
    marks: Vec<f64>,
}

/// Larger values, and on a logarithmic axis values below its inverse, are not drawn: their sums overflow.
const LARGEST: f64 = 1e15;
/// Approximate maximum number of marks.
const MARKS: f64 = 7.0;
/// A logarithmic axis with fewer marks than this gets marks at more digits.
const FEW: usize = 5;

impl Axis {
    /// An axis that covers `values`.
    pub fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Axis {
        let log = scale == Scale::Log;
        let extremes = values
            .filter(|value| drawable(*value, log))
            .map(|value| (value, value))
            .reduce(|(low, high), (value, _)| (low.min(value), high.max(value)));
        let (low, high) = extremes.unwrap_or((1.0, 1.0));
        match scale {
            Scale::FromZero => Axis::linear(low.min(0.0), high),
            Scale::Near { least } => {
                let span = high - low;
                // Keeps values off the ends of the axis, where they would be invisible.
                let more = ((least - span) / 2.0).max(span * 0.02);
                Axis::linear(low - more, high + more)
            }
            Scale::Log => Axis::logarithmic(low, high),
        }
    }

    /// An axis of numbers of gateways, with room for a bar around each.
    pub fn of_gateways(counts: &[u8]) -> Axis {
        let marks: Vec<f64> = counts.iter().copied().map(f64::from).collect();
        let first = marks.iter().copied().reduce(f64::min).unwrap_or(1.0);
        let last = marks.iter().copied().reduce(f64::max).unwrap_or(1.0);
        Axis {
            log: false,
            ends: first - 0.5..last + 0.5,
            marks,
        }
    }

    fn linear(low: f64, high: f64) -> Axis {
        // Equal values still need an axis with two ends.
        let span = (high - low).max(high.abs() * 0.02).max(1e-9);
        let step = round_step(span / (MARKS - 1.0));
        // A sum of parts may miss a round number by a rounding error.
        let first = (low / step + 1e-6).floor();
        let last = (high / step - 1e-6).ceil().max(first + 1.0);
        let marks = (0..=(last - first) as u32).map(|mark| (first + f64::from(mark)) * step);
        Axis {
            log: false,
            ends: first * step..last * step,
            marks: marks.collect(),
        }
    }

    fn logarithmic(low: f64, high: f64) -> Axis {
        let all = |digits: &'static [u8]| {
            let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
            let decade = |exponent: i32| {
                let power = 10f64.powi(exponent);
                let mark = move |digit: &u8| (f64::from(*digit) * power, *digit == 1);
                digits.iter().map(mark)
            };
            let all: Vec<_> = decades.flat_map(decade).collect();
            let first = all.iter().rposition(|(mark, _)| *mark <= low).unwrap_or(0);
            let last = all.iter().position(|(mark, _)| *mark >= high);
            let last = last.unwrap_or(all.len() - 1).max(first + 1);
            all[first..=last].to_vec()
        };
        let mut kept = all(&[1, 2, 5]);
        if kept.len() < FEW {
            kept = all(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        }
        // Over many decades only powers of ten have room.
        let few = kept.len() as f64 <= 2.0 * MARKS;
        let marks = kept.iter().filter(|(_, decade)| few || *decade);
        Axis {
            log: true,
            ends: kept[0].0..kept[kept.len() - 1].0,
            marks: marks.map(|(mark, _)| *mark).collect(),
        }
    }

    /// Whether the value can be drawn.
    pub fn holds(&self, value: f64) -> bool {
        drawable(value, self.log)
    }

    fn place(&self, value: f64) -> f64 {
        let along = |value: f64| if self.log { value.log10() } else { value };
        let (start, end) = (along(self.ends.start), along(self.ends.end));
        (along(value) - start) / (end - start)
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        start + (self.place(*value) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.marks.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

fn drawable(value: f64, log: bool) -> bool {
    value.abs() <= LARGEST && (!log || value >= 1.0 / LARGEST)
}

/// The next of 1, 2, 2.5 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let digit = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|digit| digit * power >= least * (1.0 - 1e-9));
    digit.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale() -> impl Strategy<Value = Scale> {
        prop_oneof![
            Just(Scale::FromZero),
            Just(Scale::Near { least: 0.2 }),
            Just(Scale::Log)
        ]
    }

    proptest! {
        #[test]
        fn values_lie_between_the_ends(scale in scale(), values in prop::collection::vec(1e-3..1e9f64, 1..20)) {
            let axis = Axis::of(scale, values.iter().copied());
            for value in values {
                let place = axis.map(&value, (0, 1000));
                prop_assert!(axis.holds(value) && (0..=1000).contains(&place), "{value} at {place} of {axis:?}");
            }
        }

        #[test]
        fn an_axis_has_two_ends_and_few_marks(scale in scale(), values in prop::collection::vec(any::<f64>(), 0..5)) {
            let axis = Axis::of(scale, values.into_iter());
            prop_assert!(axis.ends.start < axis.ends.end, "{axis:?}");
            prop_assert!((2..=40).contains(&axis.marks.len()), "{axis:?}");
        }
    }

    #[test]
    fn marks_are_round_numbers() {
        let marks = |scale, values: &[f64]| Axis::of(scale, values.iter().copied()).marks;
        let from_zero = [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0];
        assert_eq!(marks(Scale::FromZero, &[870.0]), from_zero);
        let parts = marks(Scale::FromZero, &[1.0 + f64::EPSILON]);
        assert_eq!(parts.last(), Some(&1.0));
        let near = marks(Scale::Near { least: 0.1 }, &[0.95, 1.08]);
        assert!(near[0] < 0.95 && near[near.len() - 1] > 1.08, "{near:?}");
        let log = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
        assert_eq!(marks(Scale::Log, &[13.0, 420.0]), log);
        let near = [20.0, 30.0, 40.0, 50.0, 60.0];
        assert_eq!(marks(Scale::Log, &[28.0, 59.0]), near);
        assert_eq!(Axis::of_gateways(&[1, 3, 10]).marks, [1.0, 3.0, 10.0]);
    }
}
