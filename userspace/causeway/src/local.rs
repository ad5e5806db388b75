//! `causeway local`: what a person asks of a role that runs on this host. `sa` and `gateway` have
//! what can be asked, `columns` how lists are printed.

mod columns;
mod gateway;
mod sa;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::control::{Answer, DEFAULT_SOCKET, ask};

/// The arguments of `causeway local`.
#[derive(Debug, Args)]
pub struct Local {
    /// The role's control socket, as in its configuration.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the SAs of this host's workers, and let them come and go without losing a packet.
    #[command(subcommand, after_help = sa::REKEY)]
    Sa(sa::Sa),
    /// Show the clusters that this demux spreads flows over, and change them under load without
    /// reordering a packet.
    #[command(subcommand, after_help = gateway::BOTH)]
    Gateway(gateway::Gateway),
}

impl Local {
    /// Asks, and returns what there is to print.
    ///
    /// # Errors
    /// Nobody answers, or the role refuses; the error says why.
    pub fn execute(self) -> anyhow::Result<String> {
        let (request, json) = match self.what {
            What::Sa(sa) => {
                let json = sa.wants_json();
                (sa.request()?, json)
            }
            What::Gateway(gateway) => {
                let json = gateway.wants_json();
                (gateway.request(), json)
            }
        };
        match ask(&self.socket, &request)? {
            Answer::Done(sentence) => Ok(sentence),
            Answer::Refused(sentence) => bail!("{sentence}"),
            Answer::Sas(sas) if json => Ok(serde_json::to_string(&sas)?),
            Answer::Sas(sas) => Ok(sa::table(&sas, std::time::SystemTime::now())),
            Answer::Tables(tables) if json => Ok(serde_json::to_string(&tables)?),
            Answer::Tables(tables) => Ok(gateway::tables(&tables)),
            Answer::Changed(outcome) => Ok(outcome.to_string()),
            other @ (Answer::Explained(_) | Answer::Status(_)) => {
                bail!("expected an answer to what was asked, got {other:?}")
            }
        }
    }
}
