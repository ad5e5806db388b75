//! The list of all metrics, by whom they tell of.

mod profile;
mod steering;
mod tables;
mod workers;

use super::{Family, Kind, Source};

const PACKETS: Option<&str> = Some("packets");
const BYTES: Option<&str> = Some("bytes");
const SECONDS: Option<&str> = Some("seconds");

/// All metrics.
pub fn families() -> impl Iterator<Item = &'static Family> {
    [
        steering::FAMILIES,
        tables::FAMILIES,
        workers::FAMILIES,
        profile::FAMILIES,
    ]
    .into_iter()
    .flatten()
}

const fn counter(
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

const fn gauge(
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

const fn histogram(
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
