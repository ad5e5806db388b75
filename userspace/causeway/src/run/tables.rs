//! The steering tables of a plan.

use std::net::IpAddr;

use causeway_demux::Steering;
use causeway_demux::moves::LEAST_SKEW;
use causeway_demux::steering::{Peering, Place};
use causeway_routes::{Interface, Snapshot, Watcher};
use causeway_steering::SteerHash;

use crate::config::Plan;

/// The tables, with remote gateways not resolved yet.
pub fn tables(plan: &Plan, nic: &Interface) -> Steering {
    let local = plan.gateways.iter().filter(|gateway| gateway.is_local());
    let own = nic.addresses.iter().map(|address| address.addr());
    let workers = plan.workers().flat_map(|(_, worker)| {
        let spis = worker.tunnels.iter().map(|tunnel| tunnel.inbound.spi.get());
        spis.map(|spi| (spi, worker.id))
    });
    Steering {
        mac: nic.mac,
        own: own.chain(local.map(|gateway| gateway.address)).collect(),
        hash: SteerHash::new(*plan.steering_key.octets()),
        peerings: plan
            .peerings
            .iter()
            .map(|peering| {
                let cluster: Vec<u32> = peering.gateways.iter().map(|&at| at as u32).collect();
                Peering::over(peering.prefixes.clone(), &cluster)
            })
            .collect(),
        gateways: plan
            .gateways
            .iter()
            .map(|gateway| match gateway.workers.first() {
                Some(first) => Place::Local {
                    first_worker: first.id as u16,
                    workers: gateway.workers.len() as u16,
                },
                None => Place::Remote { mac: None },
            })
            .collect(),
        workers: workers.collect(),
        skew: LEAST_SKEW,
        now: 0,
    }
}

/// The gateways on other hosts, and the MAC addresses under which the tables know them.
pub struct RemoteGateways(Vec<Remote>);

struct Remote {
    index: u32,
    address: IpAddr,
    mac: Option<[u8; 6]>,
    /// The watcher keeps only those fresh that it was asked for.
    asked: bool,
}

impl RemoteGateways {
    /// Those of a plan.
    pub fn of(plan: &Plan) -> Self {
        let remote = plan.gateways.iter().filter(|gateway| !gateway.is_local());
        Self(
            remote
                .map(|gateway| Remote {
                    index: gateway.id,
                    address: gateway.address,
                    mac: None,
                    asked: false,
                })
                .collect(),
        )
    }

    /// Calls `place` for each gateway whose MAC address is another than before, and asks the
    /// kernel for those that it does not know.
    ///
    /// # Errors
    /// Those of `place`.
    pub fn resolve(
        &mut self,
        snapshot: &Snapshot,
        watcher: &Watcher,
        mut place: impl FnMut(u32, Place) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for remote in &mut self.0 {
            let mac = snapshot.neighbour(remote.address);
            if mac.is_none() || !remote.asked {
                // Refused while its queue is full: the next tick asks again.
                remote.asked = watcher.resolve(remote.address);
            }
            if mac != remote.mac {
                place(remote.index, Place::Remote { mac })?;
                remote.mac = mac;
            }
        }
        Ok(())
    }
}
