//! The output as text.

use std::fmt::Write as _;

use super::apply::Applied;
use super::finding::{Finding, Remedy, Status};

/// Current values, and the commands that change them.
pub fn findings(nic: &str, findings: &[Finding]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for finding in findings {
        let _ = writeln!(
            text,
            "{:<15} {:<21} {}",
            finding.status.name(),
            finding.name,
            finding.is
        );
        if finding.status != Status::Change {
            continue;
        }
        if let Some(should) = &finding.should {
            let _ = writeln!(text, "{:16}should be {should}: {}", "", finding.why);
        }
        for command in finding.remedy.commands() {
            let _ = writeln!(text, "{:16}$ {command}", "");
        }
    }
    let changes = findings
        .iter()
        .filter(|finding| finding.status == Status::Change);
    let (safe, rest): (Vec<_>, Vec<_>) =
        changes.partition(|finding| matches!(finding.remedy, Remedy::Writes(_)));
    let _ = match (safe.len(), rest.len()) {
        (0, 0) => write!(text, "\n{nic}: nothing to change"),
        (safe, rest) => write!(
            text,
            "\n{nic}: {} to change, {safe} of them with --apply",
            safe + rest
        ),
    };
    text
}

/// The changes, and the commands that undo them.
pub fn applied(applied: &[Applied]) -> String {
    if applied.is_empty() {
        return "--apply has nothing to change".to_owned();
    }
    let mut text = String::new();
    for change in applied {
        let Applied {
            name,
            path,
            before,
            after,
            error,
            ..
        } = change;
        let _ = match error {
            None => writeln!(text, "{name}: {path}: {before} -> {after}"),
            Some(error) => writeln!(
                text,
                "{name}: {path}: {before}, cannot be set to {}: {error}",
                change.wanted
            ),
        };
    }
    let undo: Vec<_> = applied
        .iter()
        .rev()
        .filter_map(|change| change.undo.as_ref())
        .collect();
    if !undo.is_empty() {
        text.push_str("\nto undo:\n");
        for command in undo {
            let _ = writeln!(text, "{command}");
        }
    }
    text.truncate(text.trim_end().len());
    text
}
