//! The state with which a demux starts a peering.

use causeway_rescale::coordinator::State;
use causeway_rescale::table::{Member, Table};

use super::StateError;
use causeway_config::{Peering, Plan};

/// The state with which a demux starts a peering: the stored one, or else the configured cluster at epoch 0. Logs a
/// difference between the stored and the configured cluster.
///
/// # Errors
/// The stored cluster has a gateway that cannot carry the peering with this configuration.
pub fn at_start(
    plan: &Plan,
    peering: &Peering,
    stored: Option<&State>,
) -> Result<State, StateError> {
    let gateways = peering.gateways.iter().map(|&at| &plan.gateways[at]);
    let configured: Vec<_> = gateways
        .map(|each| (each.name.clone(), each.weight))
        .collect();
    let Some(stored) = stored else {
        let table = Table::new(configured).ok_or_else(|| StateError::NoGateways {
            peering: peering.name.clone(),
        })?;
        let under_way = None;
        return Ok(State { table, under_way });
    };
    let next = stored.under_way.iter().map(|under_way| &under_way.table);
    for table in next.chain([&stored.table]) {
        for member in table.members() {
            check_member(plan, peering, member)?;
        }
    }
    let in_force = stored.table.members().iter();
    let in_force: Vec<_> = in_force
        .map(|each| (each.name.as_str(), each.weight))
        .collect();
    let same = in_force.iter().copied().eq(configured
        .iter()
        .map(|(name, weight)| (name.as_str(), Some(*weight))));
    if same {
        tracing::info!(
            peering = peering.name,
            epoch = stored.table.epoch(),
            "starts with the table of rescale.state"
        );
    } else {
        tracing::warn!(
            peering = peering.name,
            epoch = stored.table.epoch(),
            in_force = list(in_force.into_iter()),
            "starts with the cluster of rescale.state, which differs from the configured one"
        );
    }
    Ok(stored.clone())
}

/// Checks that a member of a cluster can carry the peering with this configuration.
fn check_member(plan: &Plan, peering: &Peering, member: &Member) -> Result<(), StateError> {
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
    let carries = |tunnels: &[causeway_config::Tunnel]| {
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
