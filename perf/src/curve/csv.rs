//! The points as CSV: one line per point, under stable column names.

use anyhow::Result;
use serde::Serialize;

use super::document::{Document, Point, Series};

/// One line. The names of the fields are the columns.
#[derive(Serialize)]
struct Row<'a> {
    mode: &'a str,
    direction: &'a str,
    path: &'a str,
    placement: &'a str,
    cipher: &'a str,
    gateways: u8,
    tcp_mbit: f64,
    tcp_mbit_min: f64,
    tcp_mbit_max: f64,
    runs: usize,
    ideal_mbit: Option<f64>,
    efficiency: Option<f64>,
    reference_mbit: Option<f64>,
    reference_efficiency: Option<f64>,
    scale: Option<f64>,
    cap_gateway_mbit: Option<f64>,
    cap_vpc_mbit: Option<f64>,
    retransmits: u64,
    udp_size: &'a str,
    udp_sent: u64,
    udp_lost: u64,
    udp_reordered: u64,
    udp_duplicated: u64,
    udp_p50_us: f64,
    udp_p90_us: f64,
    udp_p99_us: f64,
    udp_p999_us: f64,
    udp_max_us: f64,
    share_min: f64,
    share_max: f64,
    drops: u64,
    softirq: f64,
    idle: f64,
    cut_off: u32,
}

/// The header and the lines of all curves.
pub fn text(document: &Document) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for series in &document.curves {
        for point in &series.points {
            writer.serialize(row(document, series, point))?;
        }
    }
    Ok(writer.into_inner()?)
}

fn row<'a>(document: &'a Document, series: &'a Series, point: &'a Point) -> Row<'a> {
    let (plan, caps) = (&document.plan, series.caps);
    let time = |what: &str| point.time.get(what).copied().unwrap_or_default();
    Row {
        mode: &series.mode,
        direction: &plan.direction,
        path: &plan.path,
        placement: &plan.placement,
        cipher: &plan.cipher,
        gateways: point.gateways,
        tcp_mbit: point.tcp_mbit.median,
        tcp_mbit_min: point.tcp_mbit.min,
        tcp_mbit_max: point.tcp_mbit.max,
        runs: point.tcp_mbit.runs.len(),
        ideal_mbit: point.ideal_mbit,
        efficiency: point.efficiency,
        reference_mbit: point.reference_mbit,
        reference_efficiency: point.reference_efficiency,
        scale: caps.map(|caps| caps.scale),
        cap_gateway_mbit: caps.map(|caps| caps.gateway_mbit),
        cap_vpc_mbit: caps.map(|caps| caps.vpc_mbit),
        retransmits: point.retransmits,
        udp_size: &point.udp.size,
        udp_sent: point.udp.sent,
        udp_lost: point.udp.lost,
        udp_reordered: point.udp.reordered,
        udp_duplicated: point.udp.duplicated,
        udp_p50_us: point.udp.p50_us,
        udp_p90_us: point.udp.p90_us,
        udp_p99_us: point.udp.p99_us,
        udp_p999_us: point.udp.p999_us,
        udp_max_us: point.udp.max_us,
        share_min: point.shares.iter().copied().fold(1.0, f64::min),
        share_max: point.shares.iter().copied().fold(0.0, f64::max),
        drops: point.drops.values().sum(),
        softirq: time("softirq"),
        idle: time("idle"),
        cut_off: point.cut_off,
    }
}
