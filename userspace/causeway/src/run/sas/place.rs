//! Names as people write them, made into places.

use super::{Post, SaError, Sas};
use crate::control::NewSa;

impl Sas {
    /// The worker and the tunnel that are meant. Where there is one only, it need not be named.
    pub(super) fn place(&self, wanted: &NewSa) -> Result<(usize, usize), SaError> {
        let mine = |post: &&Post| post.gateway == wanted.gateway;
        let workers = || self.posts.iter().filter(mine);
        if workers().next().is_none() {
            return Err(SaError::NoSuchGateway {
                name: wanted.gateway.clone(),
                known: join(self.posts.iter().map(|post| post.gateway.clone())),
            });
        }
        let no_worker = |wanted_worker: String| SaError::NoSuchWorker {
            gateway: wanted.gateway.clone(),
            wanted: wanted_worker,
            known: join(workers().map(|post| post.worker.to_string())),
        };
        let worker = match (wanted.worker, workers().count()) {
            (Some(number), _) => number,
            (None, 1) => workers().map(|post| post.worker).sum(),
            (None, _) => return Err(no_worker("several workers, so name one".to_owned())),
        };
        let found = self
            .posts
            .iter()
            .position(|post| post.gateway == wanted.gateway && post.worker == worker);
        let post = found.ok_or_else(|| no_worker(format!("no worker {worker}")))?;
        let terms = &self.posts[post].terms;
        let no_peering = |wanted_peering: String| SaError::NoSuchPeering {
            worker,
            wanted: wanted_peering,
            known: join(terms.iter().map(|terms| terms.peering.clone())),
        };
        let tunnel = match &wanted.peering {
            Some(name) => {
                let found = terms.iter().position(|terms| terms.peering == *name);
                found.ok_or_else(|| no_peering(format!("no peering {name:?}")))?
            }
            None if terms.len() == 1 => 0,
            None => return Err(no_peering("several peerings, so name one".to_owned())),
        };
        Ok((post, tunnel))
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
