//! Checks of a configuration against its role, this host and this process, for `causeway check` and
//! for a start.

pub(crate) mod addresses;
pub(crate) mod doubtful;
pub(crate) mod files;
pub(crate) mod forwarding;
pub(crate) mod host;
pub(crate) mod reverse_path;
pub(crate) mod role;
mod tunnels;

use anyhow::{Context, bail};
use ipnet::IpNet;

use crate::privileges::System;
use crate::{Config, HostFacts, NicFacts, Problem};
use causeway_api::status::Role;

/// The result of a check, one line per finding.
#[derive(Debug, Default)]
pub struct Findings {
    /// Errors: the role cannot run.
    pub problems: Vec<String>,
    /// Suspicious values, and privileges that this process lacks; the role's own process may have
    /// them.
    pub warnings: Vec<String>,
}

/// Checks a configuration without the host. Without a `role`, the rules of a demux apply, since
/// each gateway's file also fits a demux.
pub fn offline(config: &Config, role: Option<Role>) -> Findings {
    let mut findings = Findings::default();
    findings.warnings.extend(lines(config.warnings()));
    if let Err(error) = config.for_role(role.unwrap_or(Role::Demux)) {
        findings.problems.extend(lines(error.problems()));
    }
    findings
}

/// Checks a configuration against this host. A privilege that this process lacks is a warning.
///
/// # Errors
/// The facts of the host cannot be read.
pub async fn here(config: &Config, role: Option<Role>) -> anyhow::Result<Findings> {
    let mut findings = offline(config, role);
    let facts = HostFacts::read(config.plan()).await?;
    if let NicFacts::Present { addresses, .. } = &facts.nic {
        let own: Vec<_> = addresses.iter().map(IpNet::addr).collect();
        findings.warnings.extend(
            reverse_path::warnings(config.plan(), &own)
                .context("cannot read the kernel's reverse path filter")?,
        );
    }
    findings
        .warnings
        .extend(forwarding::warnings(config.plan()).await?);
    if facts.role_runs {
        findings.warnings.push(String::from(
            "a role serves the control socket of this configuration: whether its HTTP port is free, and its NIC \
             without another XDP program, was not checked",
        ));
    }
    match config.for_host(&facts) {
        Ok(warnings) => findings.warnings.extend(lines(&warnings)),
        Err(error) => findings.problems.extend(lines(error.problems())),
    }
    let missing = System::read()?.missing(has_workers(config));
    findings
        .warnings
        .extend(missing.into_iter().map(|missing| missing.message));
    Ok(findings)
}

/// Checks a configuration for a start in this process, and returns the warnings.
///
/// # Errors
/// All errors, one line each.
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
            .map(|missing| missing.message),
    );
    if problems.is_empty() {
        return Ok(warnings);
    }
    bail!("{}", problems.join("\n"))
}

fn has_workers(config: &Config) -> bool {
    config.plan().workers().next().is_some()
}

fn lines(problems: &[Problem]) -> impl Iterator<Item = String> {
    problems.iter().map(ToString::to_string)
}
