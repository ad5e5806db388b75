//! The steering tables of a plan.

use std::collections::HashMap;
use std::net::IpAddr;

use anyhow::Context;
use causeway_demux::Steering;
use causeway_demux::moves::LEAST_SKEW;
use causeway_demux::steering::{Peering, Place};
use causeway_rescale::Table;
use causeway_routes::{Interface, Snapshot, Watcher};
use causeway_steering::{Bucket, SteerHash};

use super::rescale::{Directory, in_force, start_states};
use crate::config::Plan;
use crate::explain::Names;
use crate::state::StateFile;

/// The tables, with remote gateways not resolved yet. `clusters`: what each peering steers by.
///
/// # Errors
/// A cluster has a gateway that is in no place.
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
        gateways: directory.places(plan),
        workers: workers.collect(),
        skew: LEAST_SKEW,
        now: 0,
    })
}

/// The tables with which a role would start now, all remote gateways at `mac`; and the names behind
/// their numbers.
///
/// # Errors
/// The state file is damaged or does not fit the plan, or a peering has no gateways.
pub fn at_next_start(
    plan: &Plan,
    nic: &Interface,
    mac: [u8; 6],
) -> anyhow::Result<(Steering, Names)> {
    let directory = Directory::new(plan, nic.addresses.clone());
    let kept = plan.rescale.state.as_deref().map(StateFile::glance);
    let kept = kept.transpose()?.unwrap_or_default();
    let states = start_states(plan, &directory, |peering| kept.get(peering))?;
    let clusters: Vec<_> = states.iter().map(in_force).collect();
    let mut steering = tables(plan, nic, &directory, &clusters)?;
    for place in &mut steering.gateways {
        if let Place::Remote { mac: unknown } = place {
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
    let mut places = HashMap::new();
    for member in cluster.members() {
        let place = directory.index(&member.name);
        let place = place.with_context(|| format!("no place for gateway {:?}", member.name))?;
        places.insert(member.ordinal, Bucket::direct(place as u16));
    }
    // A table's buckets are with its members, which its own room holds to.
    Ok(cluster.buckets().iter().map(|pair| places[pair]).collect())
}

/// The gateways on other hosts, and the MAC addresses under which the tables know them.
#[derive(Default)]
pub struct RemoteGateways(Vec<Remote>);

struct Remote {
    index: u32,
    address: IpAddr,
    mac: Option<[u8; 6]>,
    /// The watcher keeps only those fresh that it was asked for.
    asked: bool,
}

impl RemoteGateways {
    /// Calls `place` for each gateway of the directory whose MAC address is another than before, and
    /// asks the kernel for those that it does not know.
    ///
    /// # Errors
    /// Those of `place`.
    pub fn resolve(
        &mut self,
        directory: &Directory,
        snapshot: &Snapshot,
        watcher: &Watcher,
        mut place: impl FnMut(u32, Place) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.follow(directory);
        for remote in &mut self.0 {
            let mac = snapshot.neighbour(remote.address);
            if mac.is_none() || !remote.asked {
                // Refused while its queue is full: the next tick asks again.
                remote.asked = watcher.resolve(remote.address);
            }
            if mac != remote.mac {
                place(remote.index, Place::Remote { mac })?;
                remote.mac = mac;
                // After the program: nobody is told of a way that it does not know.
                directory.resolved(remote.index, mac.is_some());
            }
        }
        Ok(())
    }

    /// Those that have joined since, or have taken another's place.
    fn follow(&mut self, directory: &Directory) {
        for (index, address) in directory.remote() {
            let known = self.0.iter_mut().find(|remote| remote.index == index);
            match known {
                Some(known) if known.address == address => {}
                Some(known) => {
                    known.address = address;
                    known.asked = false;
                }
                None => self.0.push(Remote {
                    index,
                    address,
                    mac: None,
                    asked: false,
                }),
            }
        }
    }
}
