//! A process inside a namespace of the lab, its output in files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{interrupt, netns};

/// A running process; it is killed when the value is dropped.
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
    /// `ip netns exec` mounts the `/sys` that belongs to the namespace; the
    /// process is inside from its first instruction all the same.
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

    /// The process id; `ip` has become the command itself.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for its end; `None` if it has not ended in time.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it exits with 0 and gives its standard output.
    pub fn finish(mut self, limit: Duration) -> Result<String> {
        let Some(status) = self.wait(limit)? else {
            bail!(
                "{} did not end within {limit:?}{}",
                self.name,
                self.last_words()
            );
        };
        ensure!(
            status.success(),
            "{} ended with {status}{}",
            self.name,
            self.last_words()
        );
        self.stdout()
    }

    /// Polls `ready` until it holds; an early end or too long a wait is an error.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                bail!(
                    "{} ended early with {status}{}",
                    self.name,
                    self.last_words()
                );
            }
            if ready(self)? {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{} was not ready within {limit:?}{}",
                self.name,
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it and waits.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        // An error means that it has ended already.
        let _ = self.child.kill();
        Ok(self.child.wait()?)
    }

    /// What it has written to standard output, as text.
    pub fn stdout(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.stdout)?)
    }

    /// The file of its standard output.
    pub fn stdout_file(&self) -> &Path {
        &self.stdout
    }

    /// What it has written to standard error.
    pub fn stderr(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.stderr)?).into_owned())
    }

    /// The end of its output, for an error message.
    pub(crate) fn last_words(&self) -> String {
        const LINES: usize = 15;
        let mut words = String::new();
        for path in [&self.stdout, &self.stderr] {
            let text = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                words += "\n  | ";
                words += line;
            }
        }
        words
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Nobody is left to hear of a failure; the sweep kills it again.
            let _ = self.kill();
        }
    }
}
