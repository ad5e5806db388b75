//! Finds the worker and the tunnel that a request names.

use std::sync::Arc;

use super::{SaError, Sas};
use crate::worker_handle::WorkerHandle;
use causeway_api::control::NewSa;

impl Sas {
    /// The indices of the worker and of its tunnel. A request may leave out the worker or the peering if there is only one.
    pub(super) fn find_tunnel(&self, new: &NewSa) -> Result<(usize, usize), SaError> {
        let of_gateway = |worker: &&Arc<WorkerHandle>| worker.gateway == new.gateway;
        let workers = || self.workers.iter().filter(of_gateway);
        if workers().next().is_none() {
            return Err(SaError::NoSuchGateway {
                name: new.gateway.clone(),
                known: join(self.workers.iter().map(|worker| worker.gateway.clone())),
            });
        }
        let no_worker = |found: String| SaError::NoSuchWorker {
            gateway: new.gateway.clone(),
            found,
            known: join(workers().map(|worker| worker.id.to_string())),
        };
        let worker = match (new.worker, workers().count()) {
            (Some(number), _) => number,
            (None, 1) => workers().map(|worker| worker.id).sum(),
            (None, _) => return Err(no_worker("several workers; select one".to_owned())),
        };
        let index = self
            .workers
            .iter()
            .position(|each| each.gateway == new.gateway && each.id == worker);
        let index = index.ok_or_else(|| no_worker(format!("no worker {worker}")))?;
        let templates = &self.workers[index].templates;
        let no_peering = |found: String| SaError::NoSuchPeering {
            worker,
            found,
            known: join(templates.iter().map(|template| template.peering.clone())),
        };
        let tunnel = match &new.peering {
            Some(name) => {
                let tunnel = templates
                    .iter()
                    .position(|template| template.peering == *name);
                tunnel.ok_or_else(|| no_peering(format!("no peering {name:?}")))?
            }
            None if templates.len() == 1 => 0,
            None => return Err(no_peering("several peerings; select one".to_owned())),
        };
        Ok((index, tunnel))
    }
}

fn join(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<_> = names.collect();
    names.dedup();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}
