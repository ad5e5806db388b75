//! The steering tables of a plan.

use std::collections::HashMap;

use anyhow::Context;
use causeway_demux::Steering;
use causeway_demux::skew::LEAST_SKEW;
use causeway_demux::steering::{Peering, Place};
use causeway_rescale::Table;
use causeway_routes::Interface;
use causeway_steering::{Bucket, SteerHash};

use super::rescale::{Directory, in_force, start_states};
use crate::explain::Names;
use crate::state::StateFile;
use causeway_config::Plan;

/// Makes the steering tables. Remote gateways are not resolved yet. `clusters` has the table of each peering.
///
/// # Errors
/// A cluster has a gateway that is not in the directory.
pub fn tables(
    plan: &Plan,
    nic: &Interface,
    directory: &Directory,
    clusters: &[&Table],
) -> anyhow::Result<Steering> {
    let local = plan.gateways.iter().filter(|gateway| gateway.is_local());
    let own = nic.addresses.iter().map(|address| address.addr());
    let workers = plan.workers().flat_map(|(_, worker)| {
        let spis = worker.tunnels.iter().map(|tunnel| tunnel.inbound.spi.get());
        spis.map(|spi| (spi, worker.id))
    });
    let peerings = plan.peerings.iter().zip(clusters);
    let peerings = peerings
        .map(|(peering, cluster)| {
            Ok(Peering {
                prefixes: peering.prefixes.clone(),
                buckets: buckets(directory, cluster)?,
            })
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Steering {
        mac: nic.mac,
        own: own.chain(local.map(|gateway| gateway.address)).collect(),
        hash: SteerHash::new(*plan.steering_key.octets()),
        peerings,
        gateways: directory.placements(plan),
        workers: workers.collect(),
        skew: LEAST_SKEW,
        now: 0,
    })
}

/// The tables with which a role would start now, and the names of their indices. All remote gateways have the MAC address `mac`.
///
/// # Errors
/// The state file is damaged or does not match the plan, or a peering has no gateways.
pub fn at_next_start(
    plan: &Plan,
    nic: &Interface,
    mac: [u8; 6],
) -> anyhow::Result<(Steering, Names)> {
    let directory = Directory::new(plan, nic.addresses.clone());
    let stored = plan.rescale.state.as_deref().map(StateFile::peek);
    let stored = stored.transpose()?.unwrap_or_default();
    let states = start_states(plan, &directory, |peering| stored.get(peering))?;
    let clusters: Vec<_> = states.iter().map(in_force).collect();
    let mut steering = tables(plan, nic, &directory, &clusters)?;
    for placement in &mut steering.gateways {
        if let Place::Remote { mac: unknown, .. } = placement {
            *unknown = Some(mac);
        }
    }
    let mut names = Names {
        gateways: directory.gateways(),
        ..Names::of(plan)
    };
    for (peering, cluster) in names.peerings.iter_mut().zip(clusters) {
        peering.table = Some(cluster.into());
    }
    Ok((steering, names))
}

fn buckets(directory: &Directory, cluster: &Table) -> anyhow::Result<Vec<Bucket>> {
    let mut entries = HashMap::new();
    for member in cluster.members() {
        let index = directory.index(&member.name);
        let index = index.with_context(|| format!("gateway {:?} has no index", member.name))?;
        entries.insert(member.ordinal, Bucket::direct(index as u16));
    }
    // `Table` guarantees that each bucket is with a member.
    Ok(cluster.buckets().iter().map(|pair| entries[pair]).collect())
}
