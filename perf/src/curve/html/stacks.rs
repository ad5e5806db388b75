//! Stacked bars: drops by reason, and the machine's time by user.

use std::collections::BTreeMap;

use crate::curve::document::{Point, Series};

use super::axis::Scale;
use super::chart::Chart;
use super::gateways::{counts, place};
use super::layer::{Form, Layer};
use super::numbers::{count, mark, percent, percent_mark};
use super::palette::{Colour, IDLE, SERIES};
use super::section::{Section, Table};

/// The name of idle time in the document.
const IDLE_NAME: &str = "idle";

/// Dropped packets by reason.
pub fn drops(series: &Series, curves: &[Series]) -> Section {
    let of = |point: &Point| -> BTreeMap<String, f64> {
        let drops = point.drops.iter();
        drops
            .map(|(reason, packets)| (reason.clone(), *packets as f64))
            .collect()
    };
    let names = by_size(curves, of);
    let here = |name: &&String| {
        let mut points = series.points.iter();
        points.any(|point| point.drops.contains_key(*name))
    };
    let mut table = Table::by_gateways(names.iter().filter(here).map(String::as_str));
    let total = series
        .points
        .iter()
        .flat_map(|point| point.drops.values())
        .fold(0, |sum: u64, packets| sum.saturating_add(*packets));
    if total > 0 {
        for point in &series.points {
            let of = |name| count(point.drops.get(name).copied().unwrap_or(0));
            table.row(point.gateways, names.iter().filter(here).map(of));
        }
    }
    Section {
        id: format!("{}-drops", series.mode),
        title: "Drops by reason".to_owned(),
        note: "Packets that the XDP programs, the workers and the kernel's sockets dropped, over all roles and runs. docs/metrics.md \
               explains the reasons; \"limit\" counts the drops of the shapers that enforce the limits."
            .to_owned(),
        description: format!("{} packets in all. The table lists the reasons.", count(total)),
        chart: Chart {
            y_name: "packets".to_owned(),
            y_format: mark,
            scale: Scale::FromZero,
            gateways: counts(series),
            layers: stacked(series, &names, of),
        },
        nothing: "No packet was dropped.",
        table,
    }
}

/// The machine's time by user.
pub fn time(series: &Series, curves: &[Series]) -> Section {
    let of = |point: &Point| point.time.clone();
    let mut names = by_size(curves, of);
    if let Some(idle) = names.iter().position(|name| name == IDLE_NAME) {
        let idle = names.remove(idle);
        names.push(idle);
    }
    let mut table = Table::by_gateways(names.iter().map(String::as_str));
    if !names.is_empty() {
        for point in &series.points {
            let of = |name| percent(point.time.get(name).copied().unwrap_or(0.0));
            table.row(point.gateways, names.iter().map(of));
        }
    }
    let most = names
        .first()
        .map(|name| format!("The largest part is {name}."));
    Section {
        id: format!("{}-time", series.mode),
        title: "The machine's time".to_owned(),
        note: "Over all cores. Both VPCs, their gateways, and the programs that send and receive the load share these cores."
            .to_owned(),
        description: most.unwrap_or_default(),
        chart: Chart {
            y_name: "of the machine's time".to_owned(),
            y_format: percent_mark,
            scale: Scale::FromZero,
            gateways: counts(series),
            layers: stacked(series, &names, of),
        },
        nothing: "The times were not recorded.",
        table,
    }
}

/// All names by descending sum over all curves, so that a name has one colour in every curve.
fn by_size(curves: &[Series], of: impl Fn(&Point) -> BTreeMap<String, f64>) -> Vec<String> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for (name, value) in curves.iter().flat_map(|series| &series.points).flat_map(of) {
        *sums.entry(name).or_default() += value;
    }
    let mut names: Vec<_> = sums.into_iter().collect();
    names.sort_by(|one, other| other.1.total_cmp(&one.1));
    names.into_iter().map(|(name, _)| name).collect()
}

/// One layer for each name, from bottom to top. Names without a colour of their own share the last one.
fn stacked(
    series: &Series,
    names: &[String],
    of: impl Fn(&Point) -> BTreeMap<String, f64>,
) -> Vec<Layer> {
    let (idle, busy): (Vec<_>, Vec<_>) = names.iter().partition(|name| *name == IDLE_NAME);
    let own = match busy.len() <= SERIES.len() {
        true => busy.len(),
        false => SERIES.len() - 1,
    };
    let (own, others) = busy.split_at(own);
    let mut groups: Vec<(String, Colour, Vec<&String>)> = Vec::new();
    for (name, colour) in own.iter().zip(SERIES) {
        groups.push(((*name).clone(), colour, vec![name]));
    }
    if !others.is_empty() {
        let name = format!("{} smaller parts", others.len());
        groups.push((name, SERIES[SERIES.len() - 1], others.to_vec()));
    }
    groups.extend(idle.iter().map(|name| ((*name).clone(), IDLE, vec![*name])));

    let values: Vec<_> = series
        .points
        .iter()
        .map(|point| (place(point), of(point)))
        .collect();
    let mut tops = vec![0.0; values.len()];
    let mut layers = Vec::new();
    for (name, colour, members) in groups {
        let parts = values.iter().zip(&mut tops).map(|((x, values), top)| {
            let height = members.iter().filter_map(|name| values.get(*name));
            let from = *top;
            *top += height.sum::<f64>();
            (*x, from, *top)
        });
        let parts: Vec<_> = parts.collect();
        if parts.iter().any(|(_, from, to)| from != to) {
            layers.push(Layer::new(name, colour, Form::Bars(parts)));
        }
    }
    layers
}
