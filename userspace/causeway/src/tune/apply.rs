//! Writing what is safe to write.

use serde::Serialize;

use super::finding::{Finding, Setting};
use super::host::Host;

/// What became of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The check that asked for it.
    pub name: &'static str,
    /// The kernel's file.
    pub path: String,
    /// What it held.
    pub before: String,
    /// What was written.
    pub wanted: String,
    /// What it holds since.
    pub after: String,
    /// Why it does not hold what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The command that takes it back; none where nothing changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// Writes every setting that the findings give leave for, and reads each back.
pub fn apply(host: &Host, findings: &[Finding]) -> Vec<Applied> {
    let settings = findings.iter().flat_map(|finding| {
        finding
            .remedy
            .settings()
            .iter()
            .map(|setting| (finding.name, setting))
    });
    settings
        .map(|(name, setting)| write(host, name, setting))
        .collect()
}

fn write(host: &Host, name: &'static str, setting: &Setting) -> Applied {
    let written = host.write(&setting.path, &setting.value);
    let after = host.read(&setting.path).unwrap_or_default();
    let error = match written {
        Err(error) => Some(error.to_string()),
        Ok(()) if after != setting.value => {
            Some("the kernel took it and kept another value".to_owned())
        }
        Ok(()) => None,
    };
    Applied {
        name,
        path: setting.path.clone(),
        before: setting.before.clone(),
        wanted: setting.value.clone(),
        undo: (after != setting.before).then(|| setting.undo()),
        after,
        error,
    }
}
