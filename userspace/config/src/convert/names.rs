//! The names of peerings and gateways.

use std::collections::HashMap;
use std::collections::hash_map;
use std::ops::Range;

use toml::Spanned;

use crate::file::File;
use crate::report::Report;

/// The index of each name in its list.
pub(crate) struct Names {
    pub(crate) peerings: HashMap<String, usize>,
    pub(crate) gateways: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn collect(file: &File, report: &mut Report<'_>) -> Self {
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

/// A name appears in metric labels, logs and command lines, so its characters are restricted.
fn check(name: &Spanned<String>, field: &str, report: &mut Report<'_>) {
    let text = name.get_ref();
    let valid = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !valid {
        report.error(
            name.span(),
            field,
            format_args!(
                "{text:?} is not a valid name: expected 1 to 63 letters, digits, '-', '_' or '.'"
            ),
        );
    }
}

fn index<'a>(
    names: impl Iterator<Item = &'a Spanned<String>>,
    list: &str,
    report: &mut Report<'_>,
) -> HashMap<String, usize> {
    let mut indices: HashMap<String, (usize, Range<usize>)> = HashMap::new();
    for (index, name) in names.enumerate() {
        let field = format!("{list}[{index}].name");
        let text = name.get_ref();
        check(name, &field, report);
        match indices.entry(text.clone()) {
            hash_map::Entry::Vacant(entry) => {
                entry.insert((index, name.span()));
            }
            hash_map::Entry::Occupied(entry) => {
                let (first, at) = entry.get();
                let line = report.line(at.clone());
                report.error(
                    name.span(),
                    &field,
                    format_args!(
                        "{text:?} is already the name of {list}[{first}] (line {line}); names must be \
                         unique"
                    ),
                );
            }
        }
    }
    indices
        .into_iter()
        .map(|(name, (index, _))| (name, index))
        .collect()
}
