//! A process inside a namespace of the lab, with its output in files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{interrupt, netns};

/// A running process. Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` in a namespace. Output goes to `<folder>/<name>.out` and `.err`.
    ///
    /// `ip netns exec` mounts the `/sys` of the namespace. The thread that starts it is inside the namespace already.
    pub(crate) fn start(
        name: &str,
        namespace: &str,
        folder: &Path,
        command: &Command,
    ) -> Result<Self> {
        let stdout = folder.join(format!("{name}.out"));
        let stderr = folder.join(format!("{name}.err"));
        let mut wrapped = Command::new("ip");
        wrapped
            .args(["netns", "exec", namespace])
            .arg(command.get_program())
            .args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(variable, value),
                None => wrapped.env_remove(variable),
            };
        }
        wrapped
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?);
        let child = netns::enter(namespace, || {
            let _permit = interrupt::permit();
            wrapped
                .spawn()
                .with_context(|| format!("cannot start {name}"))
        })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            stdout,
            stderr,
        })
    }

    /// The process id of the command, which has replaced `ip`.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The exit status, if the process has ended.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits until the process ends; `None` at the time limit.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the process exits with 0, and returns its standard output.
    pub fn wait_for_output(mut self, limit: Duration) -> Result<String> {
        let Some(status) = self.wait(limit)? else {
            bail!(
                "{} did not end within {limit:?}{}",
                self.name,
                self.output_tail()
            );
        };
        ensure!(
            status.success(),
            "{} ended with {status}{}",
            self.name,
            self.output_tail()
        );
        self.stdout()
    }

    /// Polls `ready` until it is true. The end of the process and the time limit are errors.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exit_status()? {
                bail!(
                    "{} ended early with {status}{}",
                    self.name,
                    self.output_tail()
                );
            }
            if ready(self)? {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{} was not ready within {limit:?}{}",
                self.name,
                self.output_tail()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills the process and waits for its end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        Ok(self.child.wait()?)
    }

    /// The standard output so far.
    pub fn stdout(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.stdout)?)
    }

    /// The file with the standard output.
    pub fn stdout_file(&self) -> &Path {
        &self.stdout
    }

    /// The standard error so far.
    pub fn stderr(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.stderr)?).into_owned())
    }

    /// The last lines of the output, for an error message.
    pub(crate) fn output_tail(&self) -> String {
        const LINES: usize = 15;
        let mut tail = String::new();
        for path in [&self.stdout, &self.stderr] {
            let text = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                tail += "\n  | ";
                tail += line;
            }
        }
        tail
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // An error cannot be returned from here; the sweep kills the process again.
            let _ = self.kill();
        }
    }
}
