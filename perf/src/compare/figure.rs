//! A figure as documents of every kind have it.

/// Something that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it is of; unique within its document.
    pub key: String,
    pub unit: &'static str,
    pub better: Better,
    pub sample: Sample,
}

/// Which way is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

/// What is known of a figure and its noise.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// Of every run.
    Runs(Vec<f64>),
    /// Median, lowest and highest of so many runs.
    Extremes {
        median: f64,
        min: f64,
        max: f64,
        runs: u32,
    },
    /// Counted or proven, not timed: the same machine gives the same.
    Exact(f64),
    /// Once, or all runs together: nothing tells its noise.
    Single(f64),
}

impl Figure {
    /// A time in nanoseconds per packet.
    pub fn ns(key: String, sample: Sample) -> Figure {
        Figure::less(key, "ns", sample)
    }

    /// Of which more is better.
    pub fn more(key: String, unit: &'static str, sample: Sample) -> Figure {
        let better = Better::More;
        Figure {
            key,
            unit,
            better,
            sample,
        }
    }

    /// Of which less is better.
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
    /// The median, which stands for the figure.
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

    /// How many runs tell the noise.
    pub fn runs(&self) -> usize {
        match self {
            Sample::Runs(runs) => runs.len(),
            Sample::Extremes { runs, .. } => *runs as usize,
            Sample::Exact(_) | Sample::Single(_) => 1,
        }
    }
}
