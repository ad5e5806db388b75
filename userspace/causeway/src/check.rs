//! A configuration against its role, this host and this process, as `causeway check` and a start
//! see it.

use anyhow::{Context, bail};
use ipnet::IpNet;

use crate::config::{Config, NicFacts};
use crate::host;
use crate::privileges::System;
use crate::reverse_path;
use crate::status::Role;

/// What an examination found; each finding is one line.
#[derive(Debug, Default)]
pub struct Findings {
    /// What keeps the role from working.
    pub problems: Vec<String>,
    /// What is suspicious, or keeps this process, but not another, from running the role.
    pub warnings: Vec<String>,
}

/// Judges a configuration without regard to the host. A file without a role in mind must be one for
/// a demux, as every gateway's file is.
pub fn offline(config: &Config, role: Option<Role>) -> Findings {
    let mut findings = Findings::default();
    findings.warnings.extend(lines(config.warnings()));
    if let Err(error) = config.for_role(role.unwrap_or(Role::Demux)) {
        findings.problems.extend(lines(error.problems()));
    }
    findings
}

/// Judges a configuration, and this host by it. What this process lacks to run it is a warning.
///
/// # Errors
/// The kernel does not say what the host has.
pub async fn here(config: &Config, role: Option<Role>) -> anyhow::Result<Findings> {
    let mut findings = offline(config, role);
    let facts = host::facts(&config.plan().nic.name).await?;
    if let NicFacts::Present { addresses, .. } = &facts.nic {
        let own: Vec<_> = addresses.iter().map(IpNet::addr).collect();
        findings.warnings.extend(
            reverse_path::warnings(config.plan(), &own)
                .context("cannot ask the kernel for its reverse path filter")?,
        );
    }
    match config.for_host(&facts) {
        Ok(warnings) => findings.warnings.extend(lines(&warnings)),
        Err(error) => findings.problems.extend(lines(error.problems())),
    }
    let missing = System::read()?.missing(has_workers(config));
    findings
        .warnings
        .extend(missing.into_iter().map(|missing| missing.sentence));
    Ok(findings)
}

/// Judges a configuration for a start by this process, and returns the warnings.
///
/// # Errors
/// Everything that keeps the role from running, one line each.
pub async fn for_start(config: &Config, role: Role) -> anyhow::Result<Vec<String>> {
    let Findings {
        mut problems,
        warnings,
    } = here(config, Some(role)).await?;
    let required = System::read()?.missing(has_workers(config));
    problems.extend(
        required
            .into_iter()
            .filter(|missing| missing.required)
            .map(|missing| missing.sentence),
    );
    if problems.is_empty() {
        return Ok(warnings);
    }
    bail!("{}", problems.join("\n"))
}

fn has_workers(config: &Config) -> bool {
    config.plan().workers().next().is_some()
}

fn lines(problems: &[crate::config::Problem]) -> impl Iterator<Item = String> {
    problems.iter().map(ToString::to_string)
}
