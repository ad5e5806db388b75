//! Namespaces, processes and files under one id, which are removed together.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::topology::PREFIX;
use crate::{Process, http, interrupt, netns, owner, sweep, tool};

/// A claimed id. Dropping it removes each namespace of the id, the processes inside, and the folder.
#[derive(Debug)]
pub struct Sandbox {
    id: String,
    leftovers: Vec<String>,
}

impl Sandbox {
    /// Removes the leftovers of killed runs, then claims an id. Needs root.
    pub fn claim() -> Result<Self> {
        tool::prerequisites()?;
        let leftovers = sweep::remove_leftovers()?;
        interrupt::arm()?;
        let mut labs = interrupt::permit();
        let id = owner::claim()?;
        labs.insert(id.clone());
        Ok(Self { id, leftovers })
    }

    /// The id, which is a part of all names.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The ids of killed runs whose leftovers were removed.
    pub fn leftovers(&self) -> &[String] {
        &self.leftovers
    }

    /// The folder for files of the processes, readable by root only.
    pub fn folder(&self) -> PathBuf {
        owner::folder(&self.id)
    }

    /// The name of a place's namespace under `/run/netns`.
    pub fn namespace(&self, place: &str) -> String {
        format!("{PREFIX}-{}-{place}", self.id)
    }

    /// Makes the network namespace of a place.
    pub fn add(&self, place: &str) -> Result<()> {
        let _permit = interrupt::permit();
        tool::batch(
            "ip",
            None,
            &[format!("netns add {}", self.namespace(place))],
        )
    }

    /// Runs a batch of `ip` commands inside a place.
    pub fn ip(&self, place: &str, lines: &[String]) -> Result<()> {
        tool::batch("ip", Some(&self.namespace(place)), lines)
    }

    /// Runs `work` on a thread inside a place. Sockets that it makes stay in that namespace.
    pub fn inside<T: Send>(
        &self,
        place: &str,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        netns::enter(&self.namespace(place), work)
    }

    /// The status code and body of a GET to the role in a place.
    pub fn get(&self, place: &str, path: &str) -> Result<(u16, String)> {
        self.inside(place, || http::get(path))
    }

    /// Starts a process in a place. Its output goes to `<folder>/<name>.out` and `.err`.
    pub fn spawn(&self, place: &str, name: &str, command: &Command) -> Result<Process> {
        Process::start(name, &self.namespace(place), &self.folder(), command)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let mut labs = interrupt::permit();
        if let Err(error) = sweep::remove(&self.id) {
            eprintln!("cannot remove lab {}: {error:#}", self.id);
        }
        labs.remove(&self.id);
    }
}
