//! What crosses, and how much of what could.

use crate::curve::document::{Point, Series};

use super::axis::Scale;
use super::chart::Chart;
use super::layer::{Form, Shape};
use super::palette::{IDEAL, MEASURED, REFERENCE};
use super::section::{Section, Table};
use super::words::{count, figure, mark, percent, percent_mark};
use super::{count_of, gateways, layer};

/// What the reference had of its own limits, held against those here.
fn reference(point: &Point) -> Option<f64> {
    Some(point.reference_efficiency? * point.ideal_mbit?)
}

/// Throughput against the number of gateways.
pub fn throughput(series: &Series) -> Section {
    let points = |value: &dyn Fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        let at = |point: &Point| Some((count_of(point), value(point)?));
        series.points.iter().filter_map(at).collect()
    };
    let spread = series.points.iter();
    let spread = spread.map(|point| (count_of(point), point.tcp_mbit.min, point.tcp_mbit.max));
    let mut layers = Vec::new();
    let ideal = points(&|point| point.ideal_mbit);
    if !ideal.is_empty() {
        let name = "ideal: what the limits allow";
        layers.push(layer(name, IDEAL, Form::Dashed(ideal)));
    }
    let reference = points(&reference);
    if !reference.is_empty() {
        let name = "reference, on other machines, scaled to this ideal";
        layers.push(layer(
            name,
            REFERENCE,
            Form::Line(reference, Shape::Diamond),
        ));
    }
    layers.extend([
        layer(
            "lowest to highest run",
            MEASURED,
            Form::Spread(spread.collect()),
        ),
        layer(
            "measured: median of the runs",
            MEASURED,
            Form::Line(points(&|point| Some(point.tcp_mbit.median)), Shape::Circle),
        ),
    ]);
    Section {
        id: format!("{}-throughput", series.mode),
        title: "Throughput against gateway count".to_owned(),
        note: "TCP payload that arrived, all directions together.".to_owned(),
        description: described(series),
        chart: Chart {
            y_name: "Mbit/s".to_owned(),
            y_format: mark,
            scale: Scale::FromZero,
            gateways: gateways(series),
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

/// How much of the ideal was reached; nothing without one.
pub fn efficiency(series: &Series) -> Option<Section> {
    let line = |value: fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
        let at = |point: &Point| Some((count_of(point), value(point)?));
        series.points.iter().filter_map(at).collect()
    };
    let measured = line(|point| point.efficiency);
    let (lowest, _) = measured
        .iter()
        .map(|(count, part)| (*part, *count))
        .reduce(|least, other| if other.0 < least.0 { other } else { least })?;
    let reference = line(|point| point.reference_efficiency);
    let mut layers = vec![layer("goal: at least 95 %", IDEAL, Form::Level(0.95))];
    if !reference.is_empty() {
        let form = Form::Line(reference, Shape::Diamond);
        layers.push(layer("reference, on other machines", REFERENCE, form));
    }
    layers.push(layer(
        "measured",
        MEASURED,
        Form::Line(measured, Shape::Circle),
    ));
    Some(Section {
        id: format!("{}-efficiency", series.mode),
        title: "Efficiency".to_owned(),
        note: "Throughput over what the limits allow; the axis need not begin at zero. The reference is above 100 % \
               where each of several gateways moved more than the single one, which its ideal is made of."
            .to_owned(),
        description: format!("At least {} at every number of gateways.", percent(lowest)),
        chart: Chart {
            y_name: "of the ideal".to_owned(),
            y_format: percent_mark,
            scale: Scale::Near { least: 0.1 },
            gateways: gateways(series),
            layers,
        },
        nothing: "Nothing was measured.",
        table: Table::by_gateways([]),
    })
}
