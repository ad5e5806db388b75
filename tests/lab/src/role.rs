//! A role of Causeway as a process: start, readiness, orderly end.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use crate::options::Options;
use crate::status::Status;
use crate::topology::Site;
use crate::{Process, config, http, netns};

/// Twenty roles load their programs at the same time on few cores.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The drain itself is bounded to 2 s.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

/// A running role.
#[derive(Debug)]
pub struct Role {
    pub site: Site,
    namespace: String,
    process: Process,
}

/// How a role ended.
#[derive(Clone, Debug)]
pub struct Final {
    /// Which role.
    pub site: Site,
    /// Its last words, if it spoke them.
    pub status: Option<Status>,
    /// What was not in order about its end.
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
            // Until it listens, the connection is refused: not an error yet.
            let answer = netns::enter(namespace, || Ok(http::get("/healthz")))?;
            Ok(matches!(answer, Ok((200, _))))
        })
    }

    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        netns::enter(&self.namespace, || http::get(path))
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    pub fn ask_to_stop(&self) {
        // A role that is gone already is reported by `finish`.
        let _ = self.signal(Signal::TERM);
    }

    pub fn finish(mut self) -> Final {
        let mut problems = Vec::new();
        match self.process.wait(STOPPED_WITHIN) {
            Ok(Some(status)) if status.success() => {}
            Ok(Some(status)) => problems.push(format!("ended with {status}")),
            Ok(None) => {
                problems.push(format!("did not stop within {STOPPED_WITHIN:?} of SIGTERM"));
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
        let said = self.process.stdout().unwrap_or_default();
        let status = match said.lines().last().map(serde_json::from_str::<Status>) {
            Some(Ok(status)) => Some(status),
            Some(Err(error)) => {
                problems.push(format!("its last line is no status: {error}"));
                None
            }
            None => {
                problems.push("it left no final status".to_owned());
                None
            }
        };
        let problem =
            (!problems.is_empty()).then(|| problems.join("; ") + &self.process.last_words());
        Final {
            site: self.site,
            status,
            problem,
        }
    }
}
