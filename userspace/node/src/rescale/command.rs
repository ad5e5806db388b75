//! Changes of a demux's clusters, requested over the control socket.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use causeway_rescale::coordinator::Outcome;
use causeway_rescale::{Change, Weight};
use tokio::sync::{mpsc, oneshot};

use super::driver_input::{ChangeError, DriverInput};
use super::peering_status::PeeringStatus;
use causeway_api::control::{GatewayRef, NewGateway, NewWeight};
use causeway_api::status;
use causeway_config::Plan;

/// The peerings of a demux, for the control socket and the status.
#[derive(Default)]
pub struct Rescale {
    peerings: Vec<PeeringHandle>,
    /// The weights of the configured gateways.
    weights: HashMap<String, Weight>,
}

/// A peering, for other threads than that of its driver.
pub struct PeeringHandle {
    pub name: String,
    pub status: Arc<Mutex<PeeringStatus>>,
    /// The driver's queue, or why the cluster cannot change.
    pub driver: Result<mpsc::Sender<DriverInput>, FixedCluster>,
}

/// Why a cluster cannot change at run time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum FixedCluster {
    #[error(
        "the peering has no `demux` in the configuration, so the two VPCs cannot agree on a change: \
         set `demux` to the address of the peer's demux and restart"
    )]
    NoPeer,
    #[error(
        "the configuration has no `state` in [rescale], so a change would be lost at a restart: \
         set `state` to a path and restart"
    )]
    NoStateFile,
}

/// Why a request to change a cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum RescaleError {
    #[error("this role is no demux and has no cluster to change: send the request to the demux")]
    NoDemux,
    #[error("there is no peering {name:?}; the peerings are: {known}")]
    UnknownPeering { name: String, known: String },
    #[error("this demux has several peerings; select one with --peering: {known}")]
    PeeringRequired { known: String },
    #[error(transparent)]
    FixedCluster(#[from] FixedCluster),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(
        "the demux is stopping; after its restart `gateway list` shows whether the change was made"
    )]
    Stopping,
}

impl Rescale {
    pub fn new(plan: &Plan, peerings: Vec<PeeringHandle>) -> Self {
        let gateways = plan.gateways.iter();
        Self {
            peerings,
            weights: gateways
                .map(|each| (each.name.clone(), each.weight))
                .collect(),
        }
    }

    /// Adds a gateway to a cluster and waits until it carries its share.
    ///
    /// # Errors
    /// [`RescaleError`].
    pub fn add(&self, request: NewGateway) -> Result<Outcome, RescaleError> {
        let name = request.gateway;
        let configured = self.weights.get(&name).copied();
        let weight = request.weight.or(configured).unwrap_or(Weight::ONE);
        let change = Change::Add { name, weight };
        self.change(request.peering.as_deref(), change, request.address)
    }

    /// Drains a gateway and waits until other gateways carry its buckets.
    ///
    /// # Errors
    /// [`RescaleError`].
    pub fn drain(&self, request: GatewayRef) -> Result<Outcome, RescaleError> {
        let change = Change::Drain {
            name: request.gateway,
        };
        self.change(request.peering.as_deref(), change, None)
    }

    /// Removes a gateway from its cluster and waits until the change is complete.
    ///
    /// # Errors
    /// [`RescaleError`].
    pub fn remove(&self, request: GatewayRef) -> Result<Outcome, RescaleError> {
        let change = Change::Remove {
            name: request.gateway,
        };
        self.change(request.peering.as_deref(), change, None)
    }

    /// Changes the weight of a gateway and waits until it carries its new share.
    ///
    /// # Errors
    /// [`RescaleError`].
    pub fn set_weight(&self, request: NewWeight) -> Result<Outcome, RescaleError> {
        let change = Change::Weight {
            name: request.gateway,
            weight: request.weight,
        };
        self.change(request.peering.as_deref(), change, None)
    }

    fn change(
        &self,
        peering: Option<&str>,
        change: Change,
        address: Option<IpAddr>,
    ) -> Result<Outcome, RescaleError> {
        let handle = self.find(peering)?;
        let driver = handle.driver.as_ref().map_err(|fixed| *fixed)?;
        let (result, outcome) = oneshot::channel();
        let input = DriverInput::Change {
            change,
            address,
            result,
        };
        driver
            .blocking_send(input)
            .map_err(|_| RescaleError::Stopping)?;
        let outcome = outcome.blocking_recv();
        Ok(outcome.map_err(|_| RescaleError::Stopping)??)
    }

    /// The current tables of all peerings.
    pub fn tables(&self) -> Vec<status::Table> {
        let statuses = self.peerings.iter().map(|handle| &handle.status);
        statuses
            .map(|status| {
                status
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .report()
            })
            .collect()
    }

    fn find(&self, name: Option<&str>) -> Result<&PeeringHandle, RescaleError> {
        let known = || {
            let names: Vec<&str> = self
                .peerings
                .iter()
                .map(|handle| handle.name.as_str())
                .collect();
            names.join(", ")
        };
        match (name, &self.peerings[..]) {
            (_, []) => Err(RescaleError::NoDemux),
            (None, [only]) => Ok(only),
            (None, _) => Err(RescaleError::PeeringRequired { known: known() }),
            (Some(name), all) => all
                .iter()
                .find(|handle| handle.name == name)
                .ok_or_else(|| RescaleError::UnknownPeering {
                    name: name.to_owned(),
                    known: known(),
                }),
        }
    }
}
