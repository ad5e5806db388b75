//! How long a packet is under way.

use crate::curve::document::{Series, Udp};

use super::axis::Scale;
use super::chart::Chart;
use super::layer::{Form, Shape};
use super::palette::SERIES;
use super::section::{Section, Table};
use super::words::{count, figure, mark};
use super::{count_of, gateways, layer};

type Quantile = (&'static str, fn(&Udp) -> f64);

/// Names and figures of the quantiles, from the longest to the shortest, as the lines lie.
const QUANTILES: [Quantile; 5] = [
    ("the longest", |udp| udp.max_us),
    ("99.9 %", |udp| udp.p999_us),
    ("99 %", |udp| udp.p99_us),
    ("90 %", |udp| udp.p90_us),
    ("half", |udp| udp.p50_us),
];

/// Quantiles of the numbered packets' time from sending to arrival.
pub fn latency(series: &Series) -> Section {
    let lines = QUANTILES.iter().zip(SERIES).zip(Shape::ALL);
    let layers = lines.map(|(((name, quantile), colour), shape)| {
        let points = series.points.iter();
        let points = points.map(|point| (count_of(point), quantile(&point.udp) / 1e3));
        // Where nothing arrived there is no time.
        let points = points.filter(|(_, ms)| *ms > 0.0).collect();
        layer(*name, colour, Form::Line(points, shape))
    });
    let heads = ["packet", "sent", "lost", "reordered", "duplicated"];
    let heads = heads.into_iter().chain([
        "50 %, ms",
        "90 %, ms",
        "99 %, ms",
        "99.9 %, ms",
        "longest, ms",
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
        note: "One way, from sending to arrival, read from one clock, with the queues that the TCP load fills before the \
               limits or the cores; the axis is logarithmic. A line says: such a part of the packets took at most so long."
            .to_owned(),
        description: format!(
            "Milliseconds that half and 99 % of the packets took at most: {}.",
            each.collect::<Vec<_>>().join(", ")
        ),
        chart: Chart {
            y_name: "milliseconds".to_owned(),
            y_format: mark,
            scale: Scale::Log,
            gateways: gateways(series),
            layers: layers.collect(),
        },
        nothing: "No numbered packet arrived, or none was sent.",
        table,
    }
}
