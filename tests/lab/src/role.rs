//! A role of Causeway as a process: start, readiness, end.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Pid, Signal};

use crate::options::Options;
use crate::status::Status;
use crate::topology::Site;
use crate::{Process, config, http, netns};

/// Up to twenty-two roles load their programs at the same time on a few cores.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A drain takes at most 2 s.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// A running role.
#[derive(Debug)]
pub struct Role {
    pub site: Site,
    namespace: String,
    process: Process,
}

/// The end of a role.
#[derive(Clone, Debug)]
pub struct RoleExit {
    pub site: Site,
    /// The final status, which a role prints as its last line.
    pub status: Option<Status>,
    /// The problems of an end that was not clean.
    pub problem: Option<String>,
}

impl Role {
    pub fn start(options: &Options, id: &str, folder: &Path, site: Site) -> Result<Self> {
        let namespace = site.namespace(id);
        let command = Self::command(options, folder, site);
        let process = Process::start(&site.to_string(), &namespace, folder, &command)?;
        Ok(Self {
            site,
            namespace,
            process,
        })
    }

    pub fn command(options: &Options, folder: &Path, site: Site) -> Command {
        let mut command = Command::new(&options.causeway);
        command
            .arg(config::subcommand(site))
            .arg("--config")
            .arg(config::path(folder, site))
            .env("CAUSEWAY_XDP_OBJECT", &options.xdp_object);
        command
    }

    pub fn wait_ready(&mut self) -> Result<()> {
        let namespace = &self.namespace;
        self.process.wait_until(READY_WITHIN, |_| {
            // The connection is refused until the role listens.
            let response = netns::enter(namespace, || Ok(http::get("/healthz")))?;
            Ok(matches!(response, Ok((200, _))))
        })
    }

    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        netns::enter(&self.namespace, || http::get(path))
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    pub fn terminate(&self) {
        // `wait_exit` reports a role that has ended already.
        let _ = self.signal(Signal::TERM);
    }

    pub fn wait_exit(mut self) -> RoleExit {
        let mut problems = Vec::new();
        match self.process.wait(STOPPED_WITHIN) {
            Ok(Some(status)) if status.success() => {}
            Ok(Some(status)) => problems.push(format!("ended with {status}")),
            Ok(None) => {
                problems.push(format!(
                    "did not stop within {STOPPED_WITHIN:?} after SIGTERM"
                ));
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
        let stdout = self.process.stdout().unwrap_or_default();
        let status = match stdout.lines().last().map(serde_json::from_str::<Status>) {
            Some(Ok(status)) => Some(status),
            Some(Err(error)) => {
                problems.push(format!(
                    "the last line of its output is not a status: {error}"
                ));
                None
            }
            None => {
                problems.push("it printed no final status".to_owned());
                None
            }
        };
        let problem =
            (!problems.is_empty()).then(|| problems.join("; ") + &self.process.output_tail());
        RoleExit {
            site: self.site,
            status,
            problem,
        }
    }
}
