//! Answers the requests of the control socket.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use causeway_api::control::{Answer, Request};
use causeway_rescale::coordinator::Outcome;

use crate::explain::{self, Names};
use crate::program_tables::ProgramTables;
use crate::rescale::{Directory, Rescale, RescaleError};
use crate::sas::Sas;
use crate::status_reader::StatusReader;

/// The parts of a role that requests read and change.
#[derive(Clone)]
pub struct Requests {
    pub sas: Arc<Sas>,
    pub program: Arc<ProgramTables>,
    pub directory: Arc<Directory>,
    pub rescale: Arc<Rescale>,
    pub status: Arc<StatusReader>,
    /// The names of the peerings.
    pub names: Names,
}

impl Requests {
    /// Executes a request. May wait for the disk and for workers.
    pub fn answer(&self, request: Request) -> Answer {
        let result = match request {
            Request::Status {} => return Answer::Status(self.status.status().into()),
            Request::SaList {} => return Answer::Sas(self.sas.list()),
            Request::Explain(query) => {
                let names = Names {
                    gateways: self.directory.gateways(),
                    live: true,
                    ..self.names.clone()
                };
                let tables = self.rescale.tables();
                return explain::live::answer(&query, &self.program, tables, names);
            }
            Request::SaInstall(sa) => self.sas.install(&sa, &*self.program),
            Request::SaSwitch(sa) => self.sas.switch(&sa),
            Request::SaRetire { spi, after_seconds } => {
                self.sas.retire(spi, Duration::from_secs(after_seconds))
            }
            Request::GatewayList {} => return Answer::Tables(self.rescale.tables()),
            Request::GatewayAdd(gateway) => return changed(self.rescale.add(gateway)),
            Request::GatewayDrain(gateway) => return changed(self.rescale.drain(gateway)),
            Request::GatewayRemove(gateway) => return changed(self.rescale.remove(gateway)),
            Request::GatewayWeight(weight) => return changed(self.rescale.set_weight(weight)),
        };
        match result {
            Ok(sentence) => Answer::Done(sentence),
            Err(error) => refused(&error),
        }
    }
}

fn changed(result: Result<Outcome, RescaleError>) -> Answer {
    match result {
        Ok(outcome) => Answer::Changed(outcome),
        Err(error) => refused(&error),
    }
}

fn refused(error: &dyn Display) -> Answer {
    tracing::warn!(%error, "refused a request of the control socket");
    Answer::Refused(error.to_string())
}
