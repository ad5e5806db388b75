//! The status document as Prometheus metrics (OpenMetrics 1.0 text).
//!
//! [`families`] is the list of all metrics. A test compares `docs/metrics.md` with it. Every reason is exported, also with the value
//! zero, so that the rate of a reason that never occurred is 0 and not absent.

mod families;
mod family;
mod samples;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use causeway_api::status::Status;

use family::{Kind, PREFIX};

pub use families::families;
pub use family::Family;

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a status document.
///
/// # Errors
/// None: writing to a `String` does not fail.
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
                let own_labels = family
                    .labels
                    .iter()
                    .copied()
                    .zip(sample.labels.iter().map(String::as_str));
                let cluster = self.0.cluster.as_deref().map(|name| ("cluster", name));
                let labels: Vec<(&str, &str)> = cluster.into_iter().chain(own_labels).collect();
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
