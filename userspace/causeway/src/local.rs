//! `causeway local`: requests to a role on this host, over its control socket. `sa` and `gateway` have the
//! requests, `columns` prints lists.

mod columns;
mod gateway;
mod sa;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};

use causeway_api::client;
use causeway_api::control::{Answer, DEFAULT_SOCKET};

#[derive(Debug, Args)]
pub struct Local {
    /// The role's control socket.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    #[command(subcommand)]
    command: LocalCommand,
}

#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// List, install, switch and retire SAs of this host's workers, without packet loss.
    #[command(subcommand, after_help = sa::HELP)]
    Sa(sa::Sa),
    /// List and change the clusters of this demux, under load and without reordering.
    #[command(subcommand, after_help = gateway::HELP)]
    Gateway(gateway::Gateway),
}

impl Local {
    /// Sends the request, and returns the text for stdout.
    ///
    /// # Errors
    /// The role does not answer, or refuses with a reason.
    pub fn execute(self) -> anyhow::Result<String> {
        let (request, json) = match self.command {
            LocalCommand::Sa(sa) => {
                let json = sa.prints_json();
                (sa.request()?, json)
            }
            LocalCommand::Gateway(gateway) => {
                let json = gateway.prints_json();
                (gateway.request(), json)
            }
        };
        match client::request(&self.socket, &request)? {
            Answer::Done(result) => Ok(result),
            Answer::Refused(reason) => bail!("{reason}"),
            Answer::Sas(sas) if json => Ok(serde_json::to_string(&sas)?),
            Answer::Sas(sas) => Ok(sa::table(&sas, std::time::SystemTime::now())),
            Answer::Tables(tables) if json => Ok(serde_json::to_string(&tables)?),
            Answer::Tables(tables) => Ok(gateway::tables(&tables)),
            Answer::Changed(outcome) => Ok(outcome.to_string()),
            other @ (Answer::Explained(_) | Answer::Status(_)) => {
                bail!("expected an answer to the request, got {other:?}")
            }
        }
    }
}
