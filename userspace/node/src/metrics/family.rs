//! A metric family: name, type, labels, help text, and the source of its samples.

use std::fmt;

use causeway_api::status::{Pair, Status, Table, Worker};
use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

pub const PACKETS: Option<&str> = Some("packets");
pub const BYTES: Option<&str> = Some("bytes");
pub const SECONDS: Option<&str> = Some("seconds");

/// The labels of a metric of a worker.
pub const WORKER: &[&str] = &["gateway", "worker"];
/// The prefix of all names.
pub const PREFIX: &str = "causeway";

/// A metric with all its label values.
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Option<&'static str>,
    pub labels: &'static [&'static str],
    pub help: &'static str,
    pub source: Source,
}

impl Family {
    /// The name in queries, such as `causeway_steering_received_packets_total`.
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
}

#[derive(Clone, Copy)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The source of a family's samples. Labels that it adds precede the labels of the samples.
#[derive(Clone, Copy)]
pub enum Source {
    Status(fn(&Status) -> Vec<Sample>),
    /// Each peering's table. Adds the label `peer`.
    Table(fn(&Table) -> Vec<Sample>),
    /// Each peering's table, with one number. Adds the label `peer`.
    TableCount(fn(&Table) -> u64),
    /// Each gateway pair of each peering. Adds the labels `peer` and `gateway`.
    Pair(fn(&Pair) -> Vec<Sample>),
    /// Each worker. Adds the labels `gateway` and `worker`.
    Worker(fn(&Worker) -> Vec<Sample>),
    /// Each worker, with one number. Adds the labels `gateway` and `worker`.
    WorkerCount(fn(&Worker) -> u64),
}

impl Source {
    pub fn samples(self, status: &Status) -> Vec<Sample> {
        let each_worker = |samples: &dyn Fn(&Worker) -> Vec<Sample>| {
            let labels = |of: &Worker| vec![of.gateway.clone(), of.worker.to_string()];
            labelled(&status.workers, labels, samples)
        };
        let each_table = |samples: &dyn Fn(&Table) -> Vec<Sample>| {
            labelled(&status.tables, |of| vec![of.peering.clone()], samples)
        };
        let each_pair = |table: &Table, samples: fn(&Pair) -> Vec<Sample>| {
            labelled(&table.pairs, |of| vec![of.gateway.clone()], samples)
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

/// The samples of each of `all`, with its labels in front of their own.
fn labelled<T>(
    all: &[T],
    labels: impl Fn(&T) -> Vec<String>,
    samples: impl Fn(&T) -> Vec<Sample>,
) -> Vec<Sample> {
    let mut labelled = Vec::new();
    for one in all {
        for mut sample in samples(one) {
            sample.labels.splice(0..0, labels(one));
            labelled.push(sample);
        }
    }
    labelled
}

/// A value, with the values of the family's labels in order.
pub struct Sample {
    pub labels: Vec<String>,
    pub value: Value,
}

impl Sample {
    pub fn of<const N: usize>(labels: [&str; N], value: u64) -> Self {
        Self {
            labels: labels.map(str::to_owned).to_vec(),
            value: Value::Whole(value),
        }
    }

    pub fn seconds<const N: usize>(labels: [&str; N], nanoseconds: u64) -> Self {
        Self {
            labels: labels.map(str::to_owned).to_vec(),
            value: Value::Real(nanoseconds as f64 / 1e9),
        }
    }
}

pub enum Value {
    Whole(u64),
    Real(f64),
    /// The sum of all values, and for each class its largest value and its count.
    Histogram(u64, Vec<(f64, u64)>),
}

impl Value {
    pub fn encode(&self, kind: Kind, metric: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
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

pub const fn counter(
    name: &'static str,
    unit: Option<&'static str>,
    labels: &'static [&'static str],
    help: &'static str,
    source: Source,
) -> Family {
    Family {
        name,
        kind: Kind::Counter,
        unit,
        labels,
        help,
        source,
    }
}

pub const fn gauge(
    name: &'static str,
    unit: Option<&'static str>,
    labels: &'static [&'static str],
    help: &'static str,
    source: Source,
) -> Family {
    Family {
        kind: Kind::Gauge,
        ..counter(name, unit, labels, help, source)
    }
}

pub const fn histogram(
    name: &'static str,
    unit: Option<&'static str>,
    labels: &'static [&'static str],
    help: &'static str,
    source: Source,
) -> Family {
    Family {
        kind: Kind::Histogram,
        ..counter(name, unit, labels, help, source)
    }
}
