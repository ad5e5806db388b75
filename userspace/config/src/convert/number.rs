//! Numbers of the file, each with its range.

use std::fmt;
use std::ops::RangeInclusive;

use toml::Spanned;

use crate::report::Report;

/// Returns a number of the file, or after an error the nearest one of `range`. `unit` and `hint` are parts of the error: the
/// unit may be empty, and a hint begins with `; `.
pub(crate) fn within(
    written: &Spanned<i64>,
    range: RangeInclusive<i64>,
    unit: &str,
    hint: &str,
    field: impl fmt::Display,
    report: &mut Report<'_>,
) -> u64 {
    let got = *written.get_ref();
    let (least, most) = range.into_inner();
    if !(least..=most).contains(&got) {
        let space = if unit.is_empty() { "" } else { " " };
        report.error(
            written.span(),
            field,
            format_args!("expected {least} to {most}{space}{unit}, got {got}{hint}"),
        );
    }
    got.clamp(least, most).max(0).unsigned_abs()
}
