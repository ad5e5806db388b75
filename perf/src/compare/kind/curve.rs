//! `perf curve`.

use anyhow::Result;
use serde_json::Value;

use super::{Content, typed};
use crate::compare::figure::{Figure, Sample};
use crate::curve::document::{Document, Point, Series};

pub fn read(document: Value) -> Result<Content> {
    let document: Document = typed(document)?;
    let asked = &document.plan;
    let mut plan = vec![
        ("direction", asked.direction.clone()),
        ("path", asked.path.clone()),
        ("placement", asked.placement.clone()),
        ("cipher", asked.cipher.clone()),
        ("streams", asked.streams.to_string()),
        ("UDP size", asked.udp_size.clone()),
        ("UDP rate", asked.udp_rate.to_string()),
        ("delay", asked.delay_ms.to_string()),
        ("duration", asked.duration.to_string()),
        ("warm-up", asked.warm_up.to_string()),
    ];
    for caps in document
        .curves
        .iter()
        .filter_map(|series| series.caps.as_ref())
    {
        plan.push(("gateway's limit", caps.gateway_mbit.to_string()));
        plan.push(("VPC's limit", caps.vpc_mbit.to_string()));
    }
    let points = |series: &'_ Series| {
        let mode = series.mode.clone();
        let points = series.points.clone().into_iter();
        points.flat_map(move |point| figures(&mode, &point))
    };
    Ok((plan, document.curves.iter().flat_map(points).collect()))
}

fn figures(mode: &str, point: &Point) -> Vec<Figure> {
    let key = |what: &str| format!("{mode}, {} gateways: {what}", point.gateways);
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
        // That there are none is a law, not a measurement.
        counted("UDP reordered", udp.reordered),
        counted("UDP duplicated", udp.duplicated),
        single("UDP lost", "packets", udp.lost as f64),
        single("UDP p50", "us", udp.p50_us),
        single("UDP p99", "us", udp.p99_us),
        single("TCP retransmits", "segments", point.retransmits as f64),
    ]
}
