//! The tables of the trace: those of a running role, or those of a configuration.

use std::path::Path;

use anyhow::bail;

use causeway_api::client::Connection;
use causeway_api::control::{Answer, Request};
use causeway_api::explain::{Query, Trace};
use causeway_config::Config;
use causeway_node::explain::Configured;

/// A source of traces.
pub enum Source {
    /// A running role, over its control socket. It reads the maps of its XDP program.
    Role(Connection),
    /// The tables of a configuration, and a note about the facts that it does not have.
    Configured(Box<Configured>, String),
}

impl Source {
    /// A role's control socket.
    ///
    /// # Errors
    /// No role serves the socket, or this user has no access to it.
    pub fn role(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self::Role(Connection::open(socket)?))
    }

    /// The tables with which a role would start now, from this configuration.
    ///
    /// # Errors
    /// The configuration or its state file is invalid, or the kernel cannot list its interfaces.
    pub async fn configuration(file: &Path) -> anyhow::Result<Self> {
        let plan = Config::load(file)?.into_plan();
        let configured = Configured::new(&plan).await?;
        let without_nic = match configured.has_nic() {
            true => String::new(),
            false => format!(
                "; {} is not on this host, so every frame counts as addressed to it, and the only own \
                 addresses are those of local gateways",
                plan.nic.name
            ),
        };
        let note = format!("tables from {}{without_nic}", file.display());
        Ok(Self::Configured(Box::new(configured), note))
    }

    /// Answers a query.
    ///
    /// # Errors
    /// The role does not answer, or refuses.
    pub fn trace(&mut self, query: Query) -> anyhow::Result<Trace> {
        let role = match self {
            Self::Role(role) => role,
            Self::Configured(configured, _) => return Ok(configured.answer(&query)),
        };
        match role.request(&Request::Explain(query))? {
            Answer::Explained(trace) => Ok(trace),
            Answer::Refused(reason) => bail!("{reason}"),
            other => bail!(
                "expected a trace, got {other:?}; the role may run another version of causeway"
            ),
        }
    }

    /// A note for the reader: the facts that the traces lack.
    pub fn note(&self) -> Option<&str> {
        match self {
            Self::Role(_) => None,
            Self::Configured(_, note) => Some(note),
        }
    }
}
