//! Latency of the numbered packets.

use crate::curve::document::{Series, Udp};

use super::axis::Scale;
use super::chart::Chart;
use super::gateways::{counts, place};
use super::layer::{Form, Layer, Shape};
use super::numbers::{count, figure, mark};
use super::palette::SERIES;
use super::section::{Section, Table};

type Quantile = (&'static str, fn(&Udp) -> f64);

/// Names and values of the quantiles, in the order of the lines from top to bottom.
const QUANTILES: [Quantile; 5] = [
    ("maximum", |udp| udp.max_us),
    ("99.9 %", |udp| udp.p999_us),
    ("99 %", |udp| udp.p99_us),
    ("90 %", |udp| udp.p90_us),
    ("50 %", |udp| udp.p50_us),
];

/// Quantiles of the one-way latency.
pub fn latency(series: &Series) -> Section {
    let lines = QUANTILES.iter().zip(SERIES).zip(Shape::ALL);
    let layers = lines.map(|(((name, quantile), colour), shape)| {
        let points = series.points.iter();
        let points = points.map(|point| (place(point), quantile(&point.udp) / 1e3));
        // Without any packet received there is no latency.
        let points = points.filter(|(_, ms)| *ms > 0.0).collect();
        Layer::new(*name, colour, Form::Line(points, shape))
    });
    let heads = ["packet", "sent", "lost", "reordered", "duplicated"];
    let heads = heads.into_iter().chain([
        "50 %, ms",
        "90 %, ms",
        "99 %, ms",
        "99.9 %, ms",
        "maximum, ms",
    ]);
    let mut table = Table::by_gateways(heads);
    for point in &series.points {
        let udp = &point.udp;
        let size = match udp.size.bytes().all(|digit| digit.is_ascii_digit()) {
            true => format!("{} B", udp.size),
            false => udp.size.clone(),
        };
        let packets = [udp.sent, udp.lost, udp.reordered, udp.duplicated].map(count);
        let times = QUANTILES
            .iter()
            .rev()
            .map(|(_, quantile)| figure(quantile(udp) / 1e3));
        let cells = std::iter::once(size).chain(packets).chain(times);
        table.row(point.gateways, cells);
    }
    let each = series.points.iter().map(|point| {
        let udp = &point.udp;
        format!(
            "{} gateways {} and {}",
            point.gateways,
            figure(udp.p50_us / 1e3),
            figure(udp.p99_us / 1e3)
        )
    });
    Section {
        id: format!("{}-latency", series.mode),
        title: "Latency of numbered UDP packets beside the TCP load".to_owned(),
        note: "One-way latency by one clock. It includes the queues that the TCP load fills before the limits or the cores. \
               Each line is a quantile: that part of the packets arrived within the time shown. The axis is logarithmic."
            .to_owned(),
        description: format!(
            "50 % and 99 % quantiles in milliseconds: {}.",
            each.collect::<Vec<_>>().join(", ")
        ),
        chart: Chart {
            y_name: "milliseconds".to_owned(),
            y_format: mark,
            scale: Scale::Log,
            gateways: counts(series),
            layers: layers.collect(),
        },
        nothing: "No numbered packet arrived, or none was sent.",
        table,
    }
}
