//! The horizontal axis of every chart: numbers of gateways.

use crate::curve::document::{Point, Series};

/// The numbers of gateways that were measured.
pub fn counts(series: &Series) -> Vec<u8> {
    series.points.iter().map(|point| point.gateways).collect()
}

/// The place of a point on the axis.
pub fn place(point: &Point) -> f64 {
    f64::from(point.gateways)
}
