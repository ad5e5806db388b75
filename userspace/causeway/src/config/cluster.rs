//! Names, and the gateways that form each peering's cluster.

use std::collections::HashMap;
use std::collections::hash_map;
use std::ops::Range;

use toml::Spanned;

use super::convert::check_counts;
use super::error::Report;
use super::file::File;

/// Where each name stands in its list.
pub(super) struct Names {
    pub(super) peerings: HashMap<String, usize>,
    pub(super) gateways: HashMap<String, usize>,
}

impl Names {
    pub(super) fn collect(file: &File, report: &mut Report<'_>) -> Self {
        check_counts(file, report);
        if let Some(name) = &file.vpc.cluster {
            check(name, "vpc.cluster", report);
        }
        let peerings = file.peering.iter().map(|peering| &peering.get_ref().name);
        let gateways = file.gateway.iter().map(|gateway| &gateway.get_ref().name);
        Self {
            peerings: index(peerings, "peering", report),
            gateways: index(gateways, "gateway", report),
        }
    }
}

/// A name is a label in the metrics and a word in the logs.
fn check(name: &Spanned<String>, field: &str, report: &mut Report<'_>) {
    let text = name.get_ref();
    let valid = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !valid {
        report.refuse(
            name.span(),
            field,
            format_args!(
                "{text:?} is not a name: expected 1 to 63 letters, digits, '-', '_' or '.'"
            ),
        );
    }
}

fn index<'a>(
    names: impl Iterator<Item = &'a Spanned<String>>,
    list: &str,
    report: &mut Report<'_>,
) -> HashMap<String, usize> {
    let mut places: HashMap<String, (usize, Range<usize>)> = HashMap::new();
    for (index, name) in names.enumerate() {
        let field = format!("{list}[{index}].name");
        let text = name.get_ref();
        check(name, &field, report);
        match places.entry(text.clone()) {
            hash_map::Entry::Vacant(place) => {
                place.insert((index, name.span()));
            }
            hash_map::Entry::Occupied(place) => {
                let (first, at) = place.get();
                let line = report.line(at.clone());
                report.refuse(
                    name.span(),
                    &field,
                    format_args!("{text:?} is the name of {list}[{first}] already (line {line})"),
                );
            }
        }
    }
    places
        .into_iter()
        .map(|(name, (index, _))| (name, index))
        .collect()
}

/// For each peering the places of its gateways, in the order of the file.
pub(super) fn convert(file: &File, names: &Names, report: &mut Report<'_>) -> Vec<Vec<usize>> {
    let mut clusters = Vec::new();
    for (index, peering) in file.peering.iter().enumerate() {
        let written = &peering.get_ref().gateways;
        let field = format!("peering[{index}].gateways");
        if written.get_ref().is_empty() {
            report.refuse(
                written.span(),
                &field,
                "is empty; name the gateways that carry this peering",
            );
        }
        let mut cluster = Vec::new();
        for (position, name) in written.get_ref().iter().enumerate() {
            let field = format!("{field}[{position}]");
            let text = name.get_ref();
            match names.gateways.get(text) {
                None => report.refuse(
                    name.span(),
                    field,
                    format_args!("there is no gateway {text:?}; there are: {}", known(file)),
                ),
                Some(place) if cluster.contains(place) => report.refuse(
                    name.span(),
                    field,
                    format_args!("{text:?} is named twice; its share would be double"),
                ),
                Some(&place) => cluster.push(place),
            }
        }
        clusters.push(cluster);
    }
    clusters
}

fn known(file: &File) -> String {
    if file.gateway.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = file
        .gateway
        .iter()
        .map(|gateway| gateway.get_ref().name.get_ref().as_str())
        .collect();
    names.join(", ")
}
