//! The command: arguments, checks, changes and output.

use std::path::PathBuf;

use anyhow::{Context, bail};
use causeway_routes::{hardware, interface};
use clap::Args;
use serde::Serialize;

use super::apply::{Applied, apply};
use super::environment::Environment;
use super::finding::{Finding, Status};
use super::{examine, print};
use causeway_config::Config;
use causeway_config::privileges::System;

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub struct Tune {
    #[command(flatten)]
    mode: Mode,
    /// The role's configuration. Its NIC, workers and cores are checked.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const EXIT_STATUS: &str = "\
Exit status with --check: 0 if there is nothing to change, else 1.
Exit status with --apply: 0 if all settings that it changes are as recommended, else 1.
Exit status after an error: 1; for a wrong command line: 2.";

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Mode {
    /// Print the current and the recommended value of each setting, and the command that changes it.
    #[arg(long)]
    check: bool,
    /// Make the changes that take effect at once, can be undone and keep the link up.
    ///
    /// Reads each setting back and prints the undo commands. Needs root.
    #[arg(long)]
    apply: bool,
}

/// The document of `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Report<'a> {
    /// 1, the version of the format.
    version: u32,
    /// The NIC's name.
    nic: &'a str,
    /// The settings that `--apply` wrote; absent with `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<&'a [Applied]>,
    /// All findings; after `--apply`, those of the changed host.
    findings: &'a [Finding],
}

impl Tune {
    /// The text for stdout, and whether the command succeeded: with `--check`, there is nothing to change;
    /// with `--apply`, every safe change was made.
    ///
    /// # Errors
    /// The configuration is invalid, the NIC does not exist, or `--apply` runs without root.
    pub async fn execute(&self) -> anyhow::Result<(String, bool)> {
        let config = Config::load(&self.config)?;
        if self.mode.apply && !rustix::process::geteuid().is_root() {
            bail!(
                "--apply needs root, because it writes the kernel's settings; --check needs no privilege"
            );
        }
        let env = environment(&config).await?;
        let before = examine(&env);
        if !self.mode.apply {
            let good = before
                .iter()
                .all(|finding| finding.status != Status::Change);
            return Ok((self.text(&env, None, &before)?, good));
        }
        let applied = apply(&env.host, &before);
        let good = applied.iter().all(|change| change.error.is_none());
        let after = examine(&environment(&config).await?);
        Ok((self.text(&env, Some(&applied), &after)?, good))
    }

    fn text(
        &self,
        env: &Environment,
        applied: Option<&[Applied]>,
        findings: &[Finding],
    ) -> anyhow::Result<String> {
        let nic = env.nic.name.as_str();
        if self.json {
            let report = Report {
                version: 1,
                nic,
                applied,
                findings,
            };
            return serde_json::to_string_pretty(&report).context("cannot write JSON");
        }
        let found = print::findings(nic, findings);
        Ok(match applied {
            None => found,
            Some(applied) => format!("{}\n\n{found}", print::applied(applied)),
        })
    }
}

async fn environment(config: &Config) -> anyhow::Result<Environment> {
    let plan = config.plan();
    let nic = interface(&plan.nic.name).await?;
    let hardware = hardware(&nic.name, nic.index).await;
    Ok(Environment::here(plan, &nic, hardware, &System::read()?))
}

#[cfg(test)]
mod tests {
    use causeway_json_docs::{check, written};

    use super::*;

    #[test]
    fn the_page_has_the_keys_of_the_report() {
        check("docs/tune.md", &[("report", written::<Report>())], &[]);
    }
}
