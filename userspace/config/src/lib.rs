//! The configuration: from the TOML file to the plan that a role runs, with all validation.
//!
//! 1. [`Config::load`] reads the file (`file`), and converts it into a [`Plan`] (`convert`).
//!    This step also reads the key files. It needs nothing of the host, so that a file can be
//!    checked on any machine.
//! 2. [`Config::for_role`] and [`Config::for_host`] compare file and plan with a role and with the
//!    facts of a host (`check`).
//!
//! Each step reports all errors at once, each with its line in the file (`error`).

pub mod check;
mod convert;
mod error;
mod facts;
mod file;
mod mtu;
mod plan;
pub mod privileges;
mod report;
mod source;

use std::path::Path;

pub use convert::Endpoints;
pub use error::{ConfigError, Problem};
pub use facts::{HostFacts, NicFacts};
pub use mtu::{MAX_MTU, tunnel_need};
pub use plan::{
    Encapsulation, Gateway, Nic, NicMode, Peering, Plan, Rescale, Sa, Settings, Tunnel, Worker,
};

use causeway_api::status::Role;
use report::Report;
use source::Source;

/// A valid configuration with its keys loaded.
#[derive(Debug)]
pub struct Config {
    source: Source,
    file: file::File,
    plan: Plan,
    warnings: Vec<Problem>,
}

impl Config {
    /// Reads and validates a configuration file and its key files.
    ///
    /// # Errors
    /// All errors that can be found without the host.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::read(path)?;
        let file = parse(&source)?;
        let mut report = Report::new(&source);
        let plan = convert::convert(&file, &mut report);
        if let Some(plan) = &plan {
            check::doubtful::check(&file, plan, &mut report);
        }
        let (plan, warnings) = report.finish(plan)?;
        Ok(Self {
            source,
            file,
            plan,
            warnings,
        })
    }

    /// Reads only the endpoints of a configuration. Other keys may have invalid values, and no key
    /// file is read.
    ///
    /// # Errors
    /// The file cannot be read, does not match the schema, or has an invalid endpoint.
    pub fn endpoints(path: &Path) -> Result<Endpoints, ConfigError> {
        let source = Source::read(path)?;
        let file = parse(&source)?;
        let mut report = Report::new(&source);
        let endpoints = convert::endpoints(&file, &mut report);
        Ok(report.finish(endpoints)?.0)
    }

    /// The warnings of [`Config::load`]. They do not prevent a start.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Checks that the file fits a role.
    ///
    /// # Errors
    /// A demux needs gateways that are all remote or all local. A gateway needs exactly one
    /// gateway, a local one.
    pub fn for_role(&self, role: Role) -> Result<(), ConfigError> {
        let mut report = Report::new(&self.source);
        check::role::check(&self.file, role, &mut report);
        report.finish(Some(())).map(|_| ())
    }

    /// Checks that the host fits the plan, and returns warnings, which do not prevent a start.
    ///
    /// # Errors
    /// The NIC does not exist or cannot carry the traffic, an address is not in the NIC's subnet, or
    /// a core does not exist.
    pub fn for_host(&self, facts: &HostFacts) -> Result<Vec<Problem>, ConfigError> {
        let mut report = Report::new(&self.source);
        check::host::check(&self.file, &self.plan, facts, &mut report);
        report.finish(Some(())).map(|((), warnings)| warnings)
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn into_plan(self) -> Plan {
        self.plan
    }
}

fn parse(source: &Source) -> Result<file::File, ConfigError> {
    toml::from_str(source.text()).map_err(|error| source.malformed(error))
}
