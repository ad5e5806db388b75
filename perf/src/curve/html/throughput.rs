//! Throughput, and its part of the ideal.

use crate::curve::document::{Point, Series};

use super::axis::Scale;
use super::chart::Chart;
use super::gateways::{counts, place};
use super::layer::{Form, Layer, Shape};
use super::numbers::{count, figure, mark, percent, percent_mark};
use super::palette::{IDEAL, MEASURED, REFERENCE};
use super::section::{Section, Table};

/// The reference's efficiency applied to the ideal here.
fn reference(point: &Point) -> Option<f64> {
    Some(point.reference_efficiency? * point.ideal_mbit?)
}

/// Throughput against the number of gateways.
pub fn throughput(series: &Series) -> Section {
    let points = |value: &dyn Fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        let at = |point: &Point| Some((place(point), value(point)?));
        series.points.iter().filter_map(at).collect()
    };
    let spread = series.points.iter();
    let spread = spread.map(|point| (place(point), point.tcp_mbit.min, point.tcp_mbit.max));
    let mut layers = Vec::new();
    let ideal = points(&|point| point.ideal_mbit);
    if !ideal.is_empty() {
        let name = "ideal: allowed by the limits";
        layers.push(Layer::new(name, IDEAL, Form::Dashed(ideal)));
    }
    let reference = points(&reference);
    if !reference.is_empty() {
        let name = "reference, on other machines, scaled to this ideal";
        layers.push(Layer::new(
            name,
            REFERENCE,
            Form::Line(reference, Shape::Diamond),
        ));
    }
    layers.extend([
        Layer::new(
            "lowest to highest run",
            MEASURED,
            Form::Spread(spread.collect()),
        ),
        Layer::new(
            "measured: median of the runs",
            MEASURED,
            Form::Line(points(&|point| Some(point.tcp_mbit.median)), Shape::Circle),
        ),
    ]);
    Section {
        id: format!("{}-throughput", series.mode),
        title: "Throughput against gateway count".to_owned(),
        note: "Received TCP payload over all directions.".to_owned(),
        description: described(series),
        chart: Chart {
            y_name: "Mbit/s".to_owned(),
            y_format: mark,
            scale: Scale::FromZero,
            gateways: counts(series),
            layers,
        },
        nothing: "Nothing was measured.",
        table: table(series),
    }
}

fn described(series: &Series) -> String {
    let each = series.points.iter().map(|point| {
        let ideal = point
            .ideal_mbit
            .map(|ideal| format!(" of {}", figure(ideal)));
        format!(
            "{} gateways {}{}",
            point.gateways,
            figure(point.tcp_mbit.median),
            ideal.unwrap_or_default()
        )
    });
    format!("Mbit/s: {}.", each.collect::<Vec<_>>().join(", "))
}

fn table(series: &Series) -> Table {
    let of = |value: Option<f64>, words: fn(f64) -> String| value.map_or("—".to_owned(), words);
    let capped = series.caps.is_some();
    let mut columns = vec!["median, Mbit/s", "lowest", "highest", "retransmits"];
    if capped {
        columns.extend(["ideal", "of the ideal"]);
    }
    columns.extend(["reference, unscaled", "of its own ideal"]);
    let mut table = Table::by_gateways(columns);
    for point in &series.points {
        let tcp = &point.tcp_mbit;
        let mut cells = [tcp.median, tcp.min, tcp.max].map(figure).to_vec();
        cells.push(count(point.retransmits));
        if capped {
            cells.extend([of(point.ideal_mbit, figure), of(point.efficiency, percent)]);
        }
        cells.extend([
            of(point.reference_mbit, figure),
            of(point.reference_efficiency, percent),
        ]);
        table.row(point.gateways, cells);
    }
    table
}

/// Throughput over the ideal; none without an ideal.
pub fn efficiency(series: &Series) -> Option<Section> {
    let line = |value: fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        let at = |point: &Point| Some((place(point), value(point)?));
        series.points.iter().filter_map(at).collect()
    };
    let measured = line(|point| point.efficiency);
    let (lowest, _) = measured
        .iter()
        .map(|(count, part)| (*part, *count))
        .reduce(|least, other| if other.0 < least.0 { other } else { least })?;
    let reference = line(|point| point.reference_efficiency);
    let mut layers = vec![Layer::new("goal: at least 95 %", IDEAL, Form::Level(0.95))];
    if !reference.is_empty() {
        let form = Form::Line(reference, Shape::Diamond);
        layers.push(Layer::new("reference, on other machines", REFERENCE, form));
    }
    layers.push(Layer::new(
        "measured",
        MEASURED,
        Form::Line(measured, Shape::Circle),
    ));
    Some(Section {
        id: format!("{}-efficiency", series.mode),
        title: "Efficiency".to_owned(),
        note: "Throughput over the ideal. The reference exceeds 100 % where each of several gateways carried more than \
               the single gateway, from which its ideal is computed. The axis need not begin at zero."
            .to_owned(),
        description: format!("At least {} with every number of gateways.", percent(lowest)),
        chart: Chart {
            y_name: "of the ideal".to_owned(),
            y_format: percent_mark,
            scale: Scale::Near { least: 0.1 },
            gateways: counts(series),
            layers,
        },
        nothing: "Nothing was measured.",
        table: Table::by_gateways([]),
    })
}
