//! Changes of a demux's clusters, as a person or a program asks for them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use causeway_rescale::coordinator::Outcome;
use causeway_rescale::{Change, Weight};
use tokio::sync::{mpsc, oneshot};

use super::driver::{NotDone, Told};
use super::watch::Watch;
use crate::config::Plan;
use crate::control::{NewGateway, NewWeight, Which};
use crate::status;

/// A demux's peerings, as the control socket and the status see them.
#[derive(Default)]
pub struct Rescale {
    peerings: Vec<Handle>,
    /// Those of the configured gateways.
    weights: HashMap<String, Weight>,
}

/// A peering, from outside its driver.
pub struct Handle {
    /// Its name.
    pub name: String,
    /// What is seen of it.
    pub watch: Arc<Mutex<Watch>>,
    /// Why it cannot change, or whom to tell.
    pub tell: Result<mpsc::Sender<Told>, Fixed>,
}

/// Why a cluster is as it is.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Fixed {
    /// Nobody to agree with.
    #[error(
        "the peering has no `demux` in the configuration, through which the two VPCs agree: write the address of the peer's demux there, and restart"
    )]
    NoPeer,
    /// A restart would forget it.
    #[error(
        "the configuration has no `state` in [rescale], so a restart would forget the change: write a path there, and restart"
    )]
    NoState,
}

/// Why a cluster did not change.
#[derive(Debug, thiserror::Error)]
pub enum Unchanged {
    /// A gateway's host.
    #[error("there is no peering to change here: ask the demux")]
    NoDemux,
    /// No such name.
    #[error("there is no peering {name:?}; there are: {known}")]
    UnknownPeering {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It is not said which.
    #[error("this demux has several peerings; say with --peering which: {known}")]
    WhichPeering {
        /// Those that there are.
        known: String,
    },
    /// It never changes.
    #[error(transparent)]
    Fixed(#[from] Fixed),
    /// Not this time.
    #[error(transparent)]
    NotDone(#[from] NotDone),
    /// The role ends.
    #[error("the demux ends; after its restart `gateway list` says what became of the change")]
    Ending,
}

impl Rescale {
    /// The peerings of a plan.
    pub fn new(plan: &Plan, peerings: Vec<Handle>) -> Self {
        let gateways = plan.gateways.iter();
        Self {
            peerings,
            weights: gateways
                .map(|each| (each.name.clone(), each.weight))
                .collect(),
        }
    }

    /// Lets a gateway join, and waits until it carries its share.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn add(&self, wanted: NewGateway) -> Result<Outcome, Unchanged> {
        let name = wanted.gateway;
        let configured = self.weights.get(&name).copied();
        let weight = wanted.weight.or(configured).unwrap_or(Weight::ONE);
        let change = Change::Add { name, weight };
        self.change(wanted.peering.as_deref(), change, wanted.address)
    }

    /// Lets a gateway give its buckets away, and waits until it has.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn drain(&self, which: Which) -> Result<Outcome, Unchanged> {
        let change = Change::Drain {
            name: which.gateway,
        };
        self.change(which.peering.as_deref(), change, None)
    }

    /// Lets a gateway leave, and waits until it has.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn remove(&self, which: Which) -> Result<Outcome, Unchanged> {
        let change = Change::Remove {
            name: which.gateway,
        };
        self.change(which.peering.as_deref(), change, None)
    }

    /// Gives a gateway another share, and waits until it has it.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn weigh(&self, wanted: NewWeight) -> Result<Outcome, Unchanged> {
        let change = Change::Weight {
            name: wanted.gateway,
            weight: wanted.weight,
        };
        self.change(wanted.peering.as_deref(), change, None)
    }

    fn change(
        &self,
        peering: Option<&str>,
        change: Change,
        address: Option<IpAddr>,
    ) -> Result<Outcome, Unchanged> {
        let handle = self.named(peering)?;
        let tell = handle.tell.as_ref().map_err(|fixed| *fixed)?;
        let (answer, done) = oneshot::channel();
        let wanted = Told::Wanted {
            change,
            address,
            answer,
        };
        tell.blocking_send(wanted).map_err(|_| Unchanged::Ending)?;
        Ok(done.blocking_recv().map_err(|_| Unchanged::Ending)??)
    }

    /// The peerings' tables now.
    pub fn tables(&self) -> Vec<status::Table> {
        let watches = self.peerings.iter().map(|handle| &handle.watch);
        watches
            .map(|watch| {
                watch
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .report()
            })
            .collect()
    }

    fn named(&self, name: Option<&str>) -> Result<&Handle, Unchanged> {
        let known = || {
            let names: Vec<&str> = self
                .peerings
                .iter()
                .map(|handle| handle.name.as_str())
                .collect();
            names.join(", ")
        };
        match (name, &self.peerings[..]) {
            (_, []) => Err(Unchanged::NoDemux),
            (None, [only]) => Ok(only),
            (None, _) => Err(Unchanged::WhichPeering { known: known() }),
            (Some(name), all) => all
                .iter()
                .find(|handle| handle.name == name)
                .ok_or_else(|| Unchanged::UnknownPeering {
                    name: name.to_owned(),
                    known: known(),
                }),
        }
    }
}
