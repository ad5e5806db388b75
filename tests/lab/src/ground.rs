//! What a lab stands on: an id that names its namespaces, processes and files, all of which go with it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::topology::PREFIX;
use crate::{Process, http, interrupt, netns, owner, sweep, tool};

/// A claimed id. Dropping it removes every namespace of that id, with the processes inside, and the folder.
#[derive(Debug)]
pub struct Ground {
    id: String,
    swept: Vec<String>,
}

impl Ground {
    /// Removes what killed runs left, then claims an id. Needs root.
    pub fn claim() -> Result<Self> {
        tool::prerequisites()?;
        let swept = sweep::leftovers()?;
        interrupt::arm()?;
        let mut labs = interrupt::permit();
        let id = owner::claim()?;
        labs.insert(id.clone());
        Ok(Self { id, swept })
    }

    /// The part of all names that is this ground's own.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The leftovers that were removed before.
    pub fn swept(&self) -> &[String] {
        &self.swept
    }

    /// For what the processes read and write, readable by root only.
    pub fn folder(&self) -> PathBuf {
        owner::folder(&self.id)
    }

    /// The name under `/run/netns` of a place of this ground.
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

    /// Gives `ip` a list of commands in one go, inside a place.
    pub fn ip(&self, place: &str, lines: &[String]) -> Result<()> {
        tool::batch("ip", Some(&self.namespace(place)), lines)
    }

    /// Runs `work` on a thread inside a place. Sockets made there stay there.
    pub fn inside<T: Send>(
        &self,
        place: &str,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        netns::enter(&self.namespace(place), work)
    }

    /// The status code and the body that the role in a place answers to `GET` of a path.
    pub fn get(&self, place: &str, path: &str) -> Result<(u16, String)> {
        self.inside(place, || http::get(path))
    }

    /// Starts a process in a place; its output goes to `<folder>/<name>.out` and `.err`.
    pub fn spawn(&self, place: &str, name: &str, command: &Command) -> Result<Process> {
        Process::start(name, &self.namespace(place), &self.folder(), command)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let mut labs = interrupt::permit();
        if let Err(error) = sweep::remove(&self.id) {
            eprintln!("lab {} could not be removed: {error:#}", self.id);
        }
        labs.remove(&self.id);
    }
}
