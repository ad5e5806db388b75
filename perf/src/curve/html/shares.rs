//! The share of each gateway.

use crate::curve::document::{Point, Series};

use super::axis::Scale;
use super::chart::Chart;
use super::gateways::{counts, place};
use super::layer::{Form, Layer};
use super::numbers::{percent, percent_mark};
use super::palette::{IDEAL, MEASURED};
use super::section::{Section, Table};

/// Shares over an even share.
fn relative(point: &Point) -> impl Iterator<Item = f64> {
    let even = 1.0 / point.shares.len() as f64;
    point.shares.iter().map(move |share| share / even)
}

/// The share of each gateway, compared with an even share.
pub fn shares(series: &Series) -> Section {
    let dots = series
        .points
        .iter()
        .flat_map(|point| relative(point).map(move |share| (place(point), share)));
    let spread = series.points.iter().filter_map(|point| {
        let low = relative(point).reduce(f64::min)?;
        let high = relative(point).reduce(f64::max)?;
        Some((place(point), low, high))
    });
    let spread: Vec<_> = spread.collect();
    let most = spread.iter().map(|(_, _, high)| *high).reduce(f64::max);
    let columns = series.points.iter().map(|point| point.shares.len()).max();
    let names: Vec<String> = (1..=columns.unwrap_or(0))
        .map(|number| format!("gateway {number}"))
        .collect();
    let mut table = Table::by_gateways(names.iter().map(String::as_str));
    for point in &series.points {
        let mut cells: Vec<_> = point.shares.iter().map(|share| percent(*share)).collect();
        cells.resize(names.len(), String::new());
        table.row(point.gateways, cells);
    }
    Section {
        id: format!("{}-shares", series.mode),
        title: "Per-gateway share".to_owned(),
        note: "Bytes that each gateway carried, over an even share. Few TCP connections spread unevenly over the gateways by chance. \
               The axis need not begin at zero."
            .to_owned(),
        description: most.map_or_else(String::new, |most| {
            format!("The most loaded gateway had {} of an even share.", percent(most))
        }),
        chart: Chart {
            y_name: "of an even share".to_owned(),
            y_format: percent_mark,
            scale: Scale::Near { least: 0.2 },
            gateways: counts(series),
            layers: vec![
                Layer::new("an even share", IDEAL, Form::Level(1.0)),
                Layer::new("lowest to highest share", MEASURED, Form::Spread(spread)),
                Layer::new("one gateway", MEASURED, Form::Dots(dots.collect())),
            ],
        },
        nothing: "No gateway carried anything.",
        table,
    }
}
