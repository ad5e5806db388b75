//! The configuration: from the file that people write to the plan that the core runs.
//!
//! Two stages, so that a file can be judged on any machine: [`Config::load`] looks at the file and
//! the key files that it names, [`Config::for_host`] at what the host has. Both name all that is
//! wrong, each with its line.

mod addresses;
mod cluster;
mod convert;
mod error;
mod file;
mod host;
mod plan;
mod prefixes;
mod rescale;
mod role;
mod sas;
mod settings;
mod tunnels;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use error::{ConfigError, Problem};
pub use host::{HostFacts, MAX_MTU, NicFacts, tunnel_need};
pub use plan::{
    Encapsulation, Gateway, Nic, NicMode, Peering, Plan, Rescale, Sa, Settings, SteeringKey,
    Tunnel, Worker,
};

use crate::status::Role;
use error::{Report, Source};

/// How a role can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contacts {
    /// Where it serves HTTP, if it does.
    pub http: Option<SocketAddr>,
    /// Its control socket, if it has one.
    pub control: Option<PathBuf>,
}

/// A configuration that holds together, with its keys loaded.
#[derive(Debug)]
pub struct Config {
    source: Source,
    file: file::File,
    plan: Plan,
    warnings: Vec<Problem>,
}

impl Config {
    /// Reads and validates a configuration file and the key files that it names.
    ///
    /// # Errors
    /// Everything that is wrong with it, without regard to the host.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(Source::read(path)?)
    }

    /// Reads from a configuration file how a role that runs with it can be asked. Nothing else in it needs to
    /// be right, and no key is read.
    ///
    /// # Errors
    /// The file cannot be read or is no configuration, or what it says of this is wrong.
    pub fn contacts(path: &Path) -> Result<Contacts, ConfigError> {
        let source = Source::read(path)?;
        let file: file::File =
            toml::from_str(source.text()).map_err(|error| source.malformed(error))?;
        let mut report = Report::new(&source);
        let contacts = convert::contacts(&file, &mut report);
        Ok(report.finish(contacts)?.0)
    }

    fn parse(source: Source) -> Result<Self, ConfigError> {
        let file: file::File =
            toml::from_str(source.text()).map_err(|error| source.malformed(error))?;
        let mut report = Report::new(&source);
        let plan = convert::convert(&file, &mut report);
        let (plan, warnings) = report.finish(plan)?;
        Ok(Self {
            source,
            file,
            plan,
            warnings,
        })
    }

    /// Suspicious things that do not stop a start.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Asks whether the file is one for this role.
    ///
    /// # Errors
    /// A demux wants all gateways remote or all local; a gateway wants exactly one, a local one.
    pub fn for_role(&self, role: Role) -> Result<(), ConfigError> {
        let mut report = Report::new(&self.source);
        role::check(&self.file, role, &mut report);
        report.finish(Some(())).map(|_| ())
    }

    /// Asks whether this host can do what the file asks for; returns suspicious things that do
    /// not stop a start.
    ///
    /// # Errors
    /// The NIC does not exist or cannot carry the traffic, an address does not fit its subnet, a
    /// core does not exist.
    pub fn for_host(&self, facts: &HostFacts) -> Result<Vec<Problem>, ConfigError> {
        let mut report = Report::new(&self.source);
        host::check(&self.file, &self.plan, facts, &mut report);
        report.finish(Some(())).map(|((), warnings)| warnings)
    }

    /// What to run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What to run, for a start.
    pub fn into_plan(self) -> Plan {
        self.plan
    }
}
