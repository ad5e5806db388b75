//! Paths of key files, and the steering key.

use std::path::PathBuf;

use causeway_keys::{SteeringKey, read_steering};
use toml::Spanned;

use crate::report::Report;

/// Resolves the path of a key file. If the text is a key instead of a path, the error does not
/// repeat it.
pub(crate) fn key_path(
    path: &Spanned<String>,
    field: impl std::fmt::Display,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    let text = path.get_ref();
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    if digits >= 2 * SteeringKey::LEN && digits == text.len() {
        report.error(
            path.span(),
            field,
            "expected the path of a key file, got a key in hex digits; this key is exposed now: make \
             a new one with `causeway key`, and write the path of its file here",
        );
        return None;
    }
    Some(report.source().resolve(text))
}

/// Reads the steering key.
pub(crate) fn steering_key(path: &Spanned<String>, report: &mut Report<'_>) -> Option<SteeringKey> {
    let file = key_path(path, "steering.key-file", report)?;
    read_steering(&file)
        .map_err(|error| report.error(path.span(), "steering.key-file", error))
        .ok()
}
