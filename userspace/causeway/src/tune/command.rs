//! The command line.

use std::path::PathBuf;

use anyhow::{Context, bail};
use causeway_routes::{hardware, interface};
use clap::Args;
use serde::Serialize;

use super::apply::{Applied, apply};
use super::finding::{Finding, Status};
use super::scene::Scene;
use super::{examine, print};
use crate::config::Config;
use crate::privileges::System;

/// What is asked.
#[derive(Debug, Args)]
pub struct Tune {
    #[command(flatten)]
    what: What,
    /// The role's configuration: its NIC, workers and cores.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// One of the two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Tell what to change, and the command for each; exit status 1 if there is anything.
    #[arg(long)]
    check: bool,
    /// Change what is safe to change: what takes effect at once, can be taken back, and leaves the
    /// link up. Reads each setting back, and prints the commands that take it back. Needs root.
    #[arg(long)]
    apply: bool,
}

/// What `--json` writes.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    nic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<&'a [Applied]>,
    findings: &'a [Finding],
}

impl Tune {
    /// The text for stdout, and whether all is as it should be: with `--check`, that there is nothing
    /// to change; with `--apply`, that what is safe was changed.
    ///
    /// # Errors
    /// The configuration is refused, the NIC does not exist, or `--apply` is not root's.
    pub async fn execute(&self) -> anyhow::Result<(String, bool)> {
        let config = Config::load(&self.config)?;
        if self.what.apply && !rustix::process::geteuid().is_root() {
            bail!("--apply writes the kernel's settings, which is root's; --check is for anybody");
        }
        let scene = look(&config).await?;
        let before = examine(&scene);
        if !self.what.apply {
            let good = before
                .iter()
                .all(|finding| finding.status != Status::Change);
            return Ok((self.text(&scene, None, &before)?, good));
        }
        let applied = apply(&scene.host, &before);
        let good = applied.iter().all(|change| change.error.is_none());
        let after = examine(&look(&config).await?);
        Ok((self.text(&scene, Some(&applied), &after)?, good))
    }

    fn text(
        &self,
        scene: &Scene,
        applied: Option<&[Applied]>,
        findings: &[Finding],
    ) -> anyhow::Result<String> {
        let nic = scene.nic.name.as_str();
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

async fn look(config: &Config) -> anyhow::Result<Scene> {
    let plan = config.plan();
    let nic = interface(&plan.nic.name).await?;
    let hardware = hardware(&nic.name, nic.index).await;
    Ok(Scene::here(plan, &nic, hardware, &System::read()?))
}
