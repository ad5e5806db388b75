//! The list of all metrics, by subject.

mod profile;
mod steering;
mod tables;
mod workers;

use super::family::Family;

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
