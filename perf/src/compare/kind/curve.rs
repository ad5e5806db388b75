//! Documents of `perf curve`.

use anyhow::Result;
use serde_json::Value;

use crate::compare::figure::{Figure, Sample};
use crate::compare::measured::{Content, typed};
use crate::curve::document::{Caps, Document, Point, Series, gateways};

pub fn read(document: Value) -> Result<Content> {
    let document: Document = typed(document)?;
    let options = &document.plan;
    let plan = vec![
        ("direction", options.direction.clone()),
        ("path", options.path.clone()),
        ("placement", options.placement.clone()),
        ("cipher", options.cipher.clone()),
        ("streams", options.streams.to_string()),
        ("UDP size", options.udp_size.clone()),
        ("UDP rate", options.udp_rate.to_string()),
        ("delay", options.delay_ms.to_string()),
        ("duration", options.duration.to_string()),
        ("warm-up", options.warm_up.to_string()),
    ];
    let figures = document.curves.iter().flat_map(|series| {
        let points = series.points.iter();
        points.flat_map(|point| figures(&name(series), point))
    });
    Ok(Content {
        plan,
        figures: figures.collect(),
        ..Content::default()
    })
}

/// The name includes the limits: points under other limits are other figures.
fn name(series: &Series) -> String {
    let caps = series.caps.map(|caps| {
        let Caps {
            gateway_mbit,
            vpc_mbit,
            ..
        } = caps;
        format!(" at {gateway_mbit:.1} and {vpc_mbit:.1}")
    });
    format!("{}{}", series.mode, caps.unwrap_or_default())
}

fn figures(series: &str, point: &Point) -> Vec<Figure> {
    let key = |what: &str| format!("{series}, {}: {what}", gateways(point.gateways));
    let udp = &point.udp;
    let counted =
        |what, count: u64| Figure::less(key(what), "packets", Sample::Exact(count as f64));
    let single = |what, unit, value| Figure::less(key(what), unit, Sample::Single(value));
    vec![
        Figure::more(
            key("TCP"),
            "Mbit/s",
            Sample::Runs(point.tcp_mbit.runs.clone()),
        ),
        // The expected count is zero, so any change counts.
        counted("UDP reordered", udp.reordered),
        counted("UDP duplicated", udp.duplicated),
        single("UDP lost", "packets", udp.lost as f64),
        single("UDP p50", "us", udp.p50_us),
        single("UDP p99", "us", udp.p99_us),
        single("TCP retransmits", "segments", point.retransmits as f64),
    ]
}
