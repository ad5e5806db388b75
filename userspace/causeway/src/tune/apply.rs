//! `--apply`: writes the settings that are safe to write.

use serde::Serialize;

use super::finding::{Finding, Setting};
use super::host::Host;

/// The result for one setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Applied {
    /// The name of the setting.
    pub name: &'static str,
    /// The file of the kernel that was written.
    pub path: String,
    /// The value before.
    pub before: String,
    /// The value that was written.
    pub wanted: String,
    /// The value that was read back; empty if it could not be read.
    pub after: String,
    /// Why the setting does not have the value `wanted`; absent if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The undo command; absent if nothing changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// Writes the settings of all findings, and reads each one back.
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
            Some("the kernel accepted the value but has another one".to_owned())
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
