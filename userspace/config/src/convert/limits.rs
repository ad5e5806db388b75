//! Limits of the XDP program's tables.

use causeway_steering::{MAX_GATEWAYS, MAX_PEERINGS};
use toml::Spanned;

use crate::file::File;
use crate::report::Report;

/// Checks the numbers of peerings and gateways.
pub(crate) fn check(file: &File, report: &mut Report<'_>) {
    at_most(&file.peering, MAX_PEERINGS, "peering", report);
    at_most(&file.gateway, MAX_GATEWAYS, "gateway", report);
    if file.peering.is_empty() {
        report.error(
            0..0,
            "peering",
            "there is none; add a [[peering]] section for each peer VPC",
        );
    }
}

fn at_most<T>(list: &[Spanned<T>], limit: u32, field: &str, report: &mut Report<'_>) {
    if let Some(first_over) = list.get(limit as usize) {
        report.error(
            first_over.span(),
            field,
            format_args!(
                "there are {} of them; one host supports at most {limit}",
                list.len()
            ),
        );
    }
}
