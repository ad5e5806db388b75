//! The protocol of the control socket, a UNIX stream socket. Each request is one line of JSON, each
//! answer too.

use std::net::IpAddr;
use std::path::PathBuf;

use causeway_rescale::Weight;
use causeway_rescale::coordinator::Outcome;
use serde::{Deserialize, Serialize};

use crate::explain::{Query, Trace};
use crate::status;

/// The default path of the control socket.
pub const DEFAULT_SOCKET: &str = "/run/causeway/control.sock";
/// The longest request line in octets, with its newline: the longest path and some names.
pub const MAX_REQUEST: usize = 8192;

/// A request, such as `{"sa-list":{}}`. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Request {
    /// Returns the status document.
    Status {},
    /// Lists the installed SAs.
    SaList {},
    /// Installs an additional inbound SA.
    SaInstall(NewSa),
    /// Replaces the outbound SA of a tunnel.
    SaSwitch(NewSa),
    /// Removes an inbound SA.
    #[serde(rename_all = "kebab-case")]
    SaRetire {
        /// The SPI of the SA.
        spi: u32,
        /// The time in seconds in which packets of the SA are still opened.
        after_seconds: u64,
    },
    /// Lists the tables of the peerings.
    GatewayList {},
    /// Adds a gateway to a cluster. This request and the next three are answered when the change is complete.
    GatewayAdd(NewGateway),
    /// Moves all buckets of a gateway to the others.
    GatewayDrain(GatewayRef),
    /// Removes a gateway from a cluster.
    GatewayRemove(GatewayRef),
    /// Changes the weight of a gateway.
    GatewayWeight(NewWeight),
    /// Returns the trace of a packet. No packet is sent, and no bucket moves.
    Explain(Query),
}

/// A gateway of a cluster, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GatewayRef {
    /// The name of the gateway.
    pub gateway: String,
    /// The name of the peering; absent: the only peering of the demux.
    pub peering: Option<String>,
}

/// A gateway to add to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewGateway {
    /// The name of the gateway.
    pub gateway: String,
    /// The name of the peering; absent: the only peering of the demux.
    pub peering: Option<String>,
    /// The address of its host; absent: the address in the configuration.
    pub address: Option<IpAddr>,
    /// The weight, 1 to 64; absent: the weight in the configuration, else 1.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u8>"))]
    pub weight: Option<Weight>,
}

/// A new weight for a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewWeight {
    /// The name of the gateway.
    pub gateway: String,
    /// The name of the peering; absent: the only peering of the demux.
    pub peering: Option<String>,
    /// The weight, 1 to 64.
    #[cfg_attr(feature = "schema", schemars(with = "u8"))]
    pub weight: Weight,
}

/// An SA to install. All settings but SPI and key are those of the configured tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewSa {
    /// The name of the gateway.
    pub gateway: String,
    /// The number of the worker on the host; absent: the only worker of the gateway.
    pub worker: Option<u32>,
    /// The name of the peering; absent: the only peering of the worker.
    pub peering: Option<String>,
    /// The SPI.
    pub spi: u32,
    /// The absolute path of the key file, which the role reads.
    pub key_file: PathBuf,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The status document.
    Status(Box<status::Status>),
    /// The installed SAs.
    Sas(Vec<WorkerSa>),
    /// The tables of the peerings.
    Tables(Vec<status::Table>),
    /// A change of a cluster is complete.
    Changed(#[cfg_attr(feature = "schema", schemars(with = "OutcomeSchema"))] Outcome),
    /// The trace of the packet.
    Explained(Trace),
    /// The request is complete. The text describes the result.
    Done(String),
    /// The request is refused. The text has the cause and the remedy.
    Refused(String),
}

/// The keys of [`Outcome`]: `causeway-rescale` is without schemas. `Deserialize` checks that they are the same.
#[cfg(feature = "schema")]
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(remote = "Outcome", rename_all = "kebab-case")]
#[schemars(rename = "Outcome", description = "The result of a completed change.")]
#[allow(dead_code)]
struct OutcomeSchema {
    /// The epoch of the table after the change.
    epoch: u64,
    /// Buckets that moved while they were idle.
    moved_idle: usize,
    /// Buckets that moved behind a barrier.
    moved_by_barrier: usize,
    /// The fewest moves with which the change is possible.
    minimum: usize,
    /// Packets that were held.
    held: u64,
    /// Held packets that were dropped, because a hold was full or timed out.
    dropped: u64,
    /// The duration of the change, in milliseconds.
    elapsed_ms: u64,
}

/// An SA with its gateway and worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerSa {
    /// The name of the gateway.
    pub gateway: String,
    /// The number of the worker on the host.
    pub worker: u32,
    /// The SA; its keys are on the same level.
    #[serde(flatten)]
    pub sa: status::Sa,
}
