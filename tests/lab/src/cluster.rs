//! Changes of a running cluster, by requests over the demux's control socket.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use causeway_api::client;
use causeway_api::control::{Answer, GatewayRef, NewGateway, NewWeight, Request};
use causeway_api::status::{PeerTable, Table};
use causeway_rescale::{Weight, coordinator};
use serde::Serialize;

use crate::topology::gateway_name;
use crate::{Lab, Site, config};

/// How long the two demuxes may take to agree after a change.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a demux is polled: rarely enough that polling is no load.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A change of a cluster. Gateways count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A standby joins.
    Add(u8),
    /// A gateway gives all its buckets to the others.
    Drain(u8),
    /// A gateway leaves.
    Remove(u8),
    /// A gateway gets another weight.
    Weight(u8, u8),
}

/// The effect of a change in one VPC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// The epoch of the table after the change.
    pub epoch: u64,
    /// Buckets that moved while they were idle.
    pub moved_idle: u64,
    /// Buckets that moved behind a barrier.
    pub moved_by_barrier: u64,
    /// The fewest moves by which the change can be made; for `kill` and `return` the buckets that the gateway lost or regained.
    pub minimum: u64,
    /// Packets that were held.
    pub held: u64,
    /// Held packets that were dropped, because a hold was full or expired.
    pub dropped: u64,
    /// Duration of the change in milliseconds.
    pub elapsed_ms: u64,
}

impl From<coordinator::Outcome> for Outcome {
    fn from(outcome: coordinator::Outcome) -> Self {
        Self {
            epoch: outcome.epoch,
            moved_idle: outcome.moved_idle as u64,
            moved_by_barrier: outcome.moved_by_barrier as u64,
            minimum: outcome.minimum as u64,
            held: outcome.held,
            dropped: outcome.dropped,
            elapsed_ms: outcome.elapsed_ms,
        }
    }
}

/// The number of buckets of a gateway. Gateways count from 1.
pub fn buckets(table: &Table, gateway: u8) -> u64 {
    let name = gateway_name(gateway);
    let pair = table.pairs.iter().find(|pair| pair.gateway == name);
    pair.map_or(0, |pair| pair.buckets)
}

impl Change {
    fn request(self) -> Result<Request> {
        let peering = None;
        let which = |number| GatewayRef {
            gateway: gateway_name(number),
            peering: None,
        };
        Ok(match self {
            Self::Add(number) => Request::GatewayAdd(NewGateway {
                gateway: gateway_name(number),
                peering,
                address: None,
                weight: None,
            }),
            Self::Drain(number) => Request::GatewayDrain(which(number)),
            Self::Remove(number) => Request::GatewayRemove(which(number)),
            Self::Weight(number, weight) => Request::GatewayWeight(NewWeight {
                gateway: gateway_name(number),
                peering,
                weight: Weight::new(weight)?,
            }),
        })
    }
}

impl Lab {
    /// Changes the cluster of one VPC and waits until the change is done.
    ///
    /// # Errors
    /// The demux refuses the change; the error has its reason.
    pub fn change(&self, vpc: u8, change: Change) -> Result<Outcome> {
        match self.request(Site::demux(vpc), &change.request()?)? {
            Answer::Changed(outcome) => Ok(outcome.into()),
            Answer::Refused(reason) => bail!("{change:?} in VPC {vpc}: {reason}"),
            other => bail!("{change:?} in VPC {vpc}: expected an outcome, got {other:?}"),
        }
    }

    /// Makes a change in VPC 1, then in VPC 2. Waits until each demux has received the other's new table; before
    /// that, a demux refuses the next change.
    ///
    /// # Errors
    /// As [`Lab::change`].
    pub fn change_both(&self, change: Change) -> Result<[Outcome; 2]> {
        let outcomes = [self.change(1, change)?, self.change(2, change)?];
        let done = Instant::now();
        while self.table(1)?.peer != PeerTable::Same || self.table(2)?.peer != PeerTable::Same {
            ensure!(
                done.elapsed() < TIMEOUT,
                "the tables of the demuxes still differ {TIMEOUT:?} after {change:?} in both VPCs"
            );
            thread::sleep(POLL_INTERVAL);
        }
        Ok(outcomes)
    }

    /// The table of a demux's peering, as in `causeway local gateway list --json`.
    ///
    /// # Errors
    /// The demux does not answer, or has not exactly one peering.
    pub fn table(&self, vpc: u8) -> Result<Table> {
        let answer = self.request(Site::demux(vpc), &Request::GatewayList {})?;
        match answer {
            Answer::Tables(mut tables) if tables.len() == 1 => Ok(tables.remove(0)),
            other => bail!("expected the table of one peering in VPC {vpc}, got {other:?}"),
        }
    }

    fn request(&self, role: Site, request: &Request) -> Result<Answer> {
        let socket = config::home(&self.folder(), role).join(config::SOCKET);
        client::request(&socket, request).with_context(|| format!("{role} does not answer"))
    }
}
