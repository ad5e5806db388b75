//! The status document as Prometheus metrics (OpenMetrics 1.0 text).
//!
//! [`families`] is the one list: it makes the text, and `docs/metrics.md` is checked against it.
//! All reasons are exported, also those at zero, so that a rate over a reason that never occurred
//! is 0 and not absent.

mod families;
mod samples;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

pub use families::families;

use crate::status::{Pair, Status, Table, Worker};

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What all names begin with.
const PREFIX: &str = "causeway";

/// One metric with all its label values.
pub struct Family {
    name: &'static str,
    kind: Kind,
    unit: Option<&'static str>,
    labels: &'static [&'static str],
    help: &'static str,
    source: Source,
}

impl Family {
    /// The name under which it is queried, such as `causeway_steering_received_packets_total`.
    pub fn full_name(&self) -> String {
        let mut name = format!("{PREFIX}_{}", self.name);
        if let Some(unit) = self.unit {
            name = format!("{name}_{unit}");
        }
        match self.kind {
            Kind::Counter => name + "_total",
            Kind::Gauge | Kind::Histogram => name,
        }
    }

    /// `counter`, `gauge` or `histogram`.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// Its labels' names.
    pub fn labels(&self) -> &'static [&'static str] {
        self.labels
    }

    /// One sentence on what it says.
    pub fn help(&self) -> &'static str {
        self.help
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Where a family's samples come from.
#[derive(Clone, Copy)]
enum Source {
    /// The document.
    Status(fn(&Status) -> Vec<Sample>),
    /// Each peering's table; its `peer` label stands in front of the samples' own.
    Table(fn(&Table) -> Vec<Sample>),
    /// Each peering's table, one number.
    TableCount(fn(&Table) -> u64),
    /// Each gateway pair of each peering; its `peer` and `gateway` labels stand in front.
    Pair(fn(&Pair) -> Vec<Sample>),
    /// Each worker; its `gateway` and `worker` labels stand in front of the samples' own.
    Worker(fn(&Worker) -> Vec<Sample>),
    /// Each worker, one number.
    WorkerCount(fn(&Worker) -> u64),
}

impl Source {
    fn samples(self, status: &Status) -> Vec<Sample> {
        let each_worker = |samples: &dyn Fn(&Worker) -> Vec<Sample>| {
            let mut all = Vec::new();
            for worker in &status.workers {
                for mut sample in samples(worker) {
                    let place = [worker.gateway.clone(), worker.worker.to_string()];
                    sample.labels.splice(0..0, place);
                    all.push(sample);
                }
            }
            all
        };
        let each_table = |samples: &dyn Fn(&Table) -> Vec<Sample>| {
            let mut all = Vec::new();
            for table in &status.tables {
                for mut sample in samples(table) {
                    sample.labels.insert(0, table.peering.clone());
                    all.push(sample);
                }
            }
            all
        };
        let each_pair = |table: &Table, samples: fn(&Pair) -> Vec<Sample>| {
            let mut all = Vec::new();
            for pair in &table.pairs {
                for mut sample in samples(pair) {
                    sample.labels.insert(0, pair.gateway.clone());
                    all.push(sample);
                }
            }
            all
        };
        match self {
            Self::Status(samples) => samples(status),
            Self::Table(samples) => each_table(&samples),
            Self::TableCount(count) => each_table(&|table| vec![Sample::of([], count(table))]),
            Self::Pair(samples) => each_table(&|table| each_pair(table, samples)),
            Self::Worker(samples) => each_worker(&samples),
            Self::WorkerCount(count) => each_worker(&|w| vec![Sample::of([], count(w))]),
        }
    }
}

/// One value, with the values of the family's labels in their order.
struct Sample {
    labels: Vec<String>,
    value: Value,
}

impl Sample {
    fn of<const N: usize>(labels: [&str; N], value: u64) -> Self {
        Self {
            labels: labels.map(str::to_owned).to_vec(),
            value: Value::Whole(value),
        }
    }

    fn seconds<const N: usize>(labels: [&str; N], nanoseconds: u64) -> Self {
        Self {
            labels: labels.map(str::to_owned).to_vec(),
            value: Value::Real(nanoseconds as f64 / 1e9),
        }
    }
}

enum Value {
    Whole(u64),
    Real(f64),
    /// The sum of all, and by class the largest value in it and how many.
    Histogram(u64, Vec<(f64, u64)>),
}

impl Value {
    fn encode(&self, kind: Kind, metric: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match (self, kind) {
            (Self::Histogram(sum, classes), _) => {
                let count = classes.iter().map(|(_, count)| count).sum();
                metric.encode_histogram::<NoLabelSet>(*sum as f64, count, classes, None)
            }
            (Self::Whole(value), Kind::Gauge) => metric.encode_gauge(value),
            (Self::Real(value), Kind::Gauge) => metric.encode_gauge(value),
            (Self::Whole(value), _) => metric.encode_counter::<NoLabelSet, _, u64>(value, None),
            (Self::Real(value), _) => metric.encode_counter::<NoLabelSet, _, u64>(value, None),
        }
    }
}

/// The metrics of a status document.
///
/// # Errors
/// None that a `String` can cause.
pub fn text(status: &Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Snapshot(status.clone())));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Snapshot(Status);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in families::families() {
            let unit = family.unit.map(|unit| Unit::Other(unit.to_owned()));
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric =
                encoder.encode_descriptor(family.name, family.help, unit.as_ref(), kind)?;
            for sample in family.source.samples(&self.0) {
                let own = family
                    .labels
                    .iter()
                    .copied()
                    .zip(sample.labels.iter().map(String::as_str));
                let cluster = self.0.cluster.as_deref().map(|name| ("cluster", name));
                let labels: Vec<(&str, &str)> = cluster.into_iter().chain(own).collect();
                let labels = labels.as_slice();
                if labels.is_empty() {
                    sample.value.encode(family.kind, &mut metric)?;
                } else {
                    let mut metric = metric.encode_family(&labels)?;
                    sample.value.encode(family.kind, &mut metric)?;
                }
            }
        }
        Ok(())
    }
}
