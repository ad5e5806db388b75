//! One measured figure and the samples behind it.

/// A measured figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Identifies the figure within its document.
    pub key: String,
    pub unit: &'static str,
    pub better: Better,
    pub sample: Sample,
}

/// The direction of an improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

/// The samples of a figure, which determine what is known about its noise.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// The value of every run.
    Runs(Vec<f64>),
    /// Median, lowest and highest value, and the number of runs.
    Extremes {
        median: f64,
        min: f64,
        max: f64,
        runs: u32,
    },
    /// Counted, not timed: a repetition gives the same value.
    Exact(f64),
    /// One value for all runs: the noise is unknown.
    Single(f64),
}

impl Figure {
    /// A time in nanoseconds per packet.
    pub fn ns(key: String, sample: Sample) -> Figure {
        Figure::less(key, "ns", sample)
    }

    /// A figure that improves as it grows.
    pub fn more(key: String, unit: &'static str, sample: Sample) -> Figure {
        let better = Better::More;
        Figure {
            key,
            unit,
            better,
            sample,
        }
    }

    /// A figure that improves as it shrinks.
    pub fn less(key: String, unit: &'static str, sample: Sample) -> Figure {
        let better = Better::Less;
        Figure {
            key,
            unit,
            better,
            sample,
        }
    }
}

impl Sample {
    /// The median of the runs.
    pub fn median(&self) -> f64 {
        match self {
            Sample::Runs(runs) => crate::spread::median(runs.clone()),
            Sample::Extremes { median, .. } => *median,
            Sample::Exact(value) | Sample::Single(value) => *value,
        }
    }

    /// The lowest and the highest run.
    pub fn extremes(&self) -> (f64, f64) {
        match self {
            Sample::Runs(runs) => (
                runs.iter().copied().fold(f64::INFINITY, f64::min),
                runs.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ),
            Sample::Extremes { min, max, .. } => (*min, *max),
            Sample::Exact(value) | Sample::Single(value) => (*value, *value),
        }
    }

    /// The number of runs from which the noise is estimated.
    pub fn runs(&self) -> usize {
        match self {
            Sample::Runs(runs) => runs.len(),
            Sample::Extremes { runs, .. } => *runs as usize,
            Sample::Exact(_) | Sample::Single(_) => 1,
        }
    }
}
