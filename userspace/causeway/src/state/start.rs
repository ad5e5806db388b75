//! What a demux starts a peering with.

use causeway_rescale::coordinator::State;
use causeway_rescale::table::{Member, Table};

use super::StateError;
use crate::config::{Peering, Plan};

/// The state with which a demux starts a peering: what was kept, else the configured cluster at
/// epoch 0. Says in the log where the two differ.
///
/// # Errors
/// What was kept has a gateway that the configuration does not let carry.
pub fn at_start(plan: &Plan, peering: &Peering, kept: Option<&State>) -> Result<State, StateError> {
    let gateways = peering.gateways.iter().map(|&at| &plan.gateways[at]);
    let configured: Vec<_> = gateways
        .map(|each| (each.name.clone(), each.weight))
        .collect();
    let Some(kept) = kept else {
        let table = Table::new(configured).ok_or_else(|| StateError::NoGateways {
            peering: peering.name.clone(),
        })?;
        let under_way = None;
        return Ok(State { table, under_way });
    };
    let coming = kept.under_way.iter().map(|under_way| &under_way.table);
    for table in coming.chain([&kept.table]) {
        for member in table.members() {
            can_carry(plan, peering, member)?;
        }
    }
    let in_force = kept.table.members().iter();
    let in_force: Vec<_> = in_force
        .map(|each| (each.name.as_str(), each.weight))
        .collect();
    let same = in_force.iter().copied().eq(configured
        .iter()
        .map(|(name, weight)| (name.as_str(), Some(*weight))));
    if same {
        tracing::info!(
            peering = peering.name,
            epoch = kept.table.epoch(),
            "goes on with the table of rescale.state"
        );
    } else {
        tracing::warn!(
            peering = peering.name,
            epoch = kept.table.epoch(),
            in_force = list(in_force.into_iter()),
            "goes on with the cluster of rescale.state, which is not the configured one"
        );
    }
    Ok(kept.clone())
}

/// Whether the configuration lets a gateway carry.
fn can_carry(plan: &Plan, peering: &Peering, member: &Member) -> Result<(), StateError> {
    let found = plan.gateways.iter().find(|each| each.name == member.name);
    let Some(gateway) = found else {
        return match member.address {
            Some(_) => Ok(()),
            None => Err(StateError::UnknownGateway {
                peering: peering.name.clone(),
                gateway: member.name.clone(),
            }),
        };
    };
    let carries = |tunnels: &[crate::config::Tunnel]| {
        let mut tunnels = tunnels.iter();
        tunnels.any(|tunnel| tunnel.peering == peering.id as usize)
    };
    match gateway
        .workers
        .iter()
        .all(|worker| carries(&worker.tunnels))
    {
        true => Ok(()),
        false => Err(StateError::NoTunnel {
            peering: peering.name.clone(),
            gateway: member.name.clone(),
        }),
    }
}

fn list<'a>(members: impl Iterator<Item = (&'a str, Option<causeway_rescale::Weight>)>) -> String {
    let members = members.map(|(name, weight)| match weight {
        Some(weight) => format!("{name} (weight {})", weight.get()),
        None => format!("{name} (drained)"),
    });
    members.collect::<Vec<_>>().join(", ")
}
