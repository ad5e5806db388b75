//! Requests and answers.

use std::net::IpAddr;
use std::path::PathBuf;

use causeway_rescale::Weight;
use causeway_rescale::coordinator::Outcome;
use serde::{Deserialize, Serialize};

use crate::explain::{Question, Story};
use crate::status;

/// What a role is asked, such as `{"sa-list":{}}`. Fields that it does not know are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Request {
    /// How is it?
    Status {},
    /// Which SAs run?
    SaList {},
    /// Receive on one more SA.
    SaInstall(NewSa),
    /// Send on another SA.
    SaSwitch(NewSa),
    /// Let an inbound SA go.
    #[serde(rename_all = "kebab-case")]
    SaRetire {
        /// Its SPI.
        spi: u32,
        /// How long packets under it are still opened.
        after_seconds: u64,
    },
    /// How do the peerings' tables stand?
    GatewayList {},
    /// Let a gateway join a cluster. Answered, as the next three are, when it is done.
    GatewayAdd(NewGateway),
    /// Let a gateway give its buckets to the others.
    GatewayDrain(Which),
    /// Let a gateway leave a cluster.
    GatewayRemove(Which),
    /// Give a gateway another share.
    GatewayWeight(NewWeight),
    /// Where would a packet go, and why? Asking moves nothing.
    Explain(Question),
}

/// A gateway of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Which {
    /// The gateway's name.
    pub gateway: String,
    /// The peering's name; absent: the demux's only one.
    pub peering: Option<String>,
}

/// A gateway that is to join a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewGateway {
    /// The gateway's name.
    pub gateway: String,
    /// The peering's name; absent: the demux's only one.
    pub peering: Option<String>,
    /// Where its host is; absent: as in the configuration.
    pub address: Option<IpAddr>,
    /// Its share; absent: as in the configuration, else 1.
    pub weight: Option<Weight>,
}

/// Another share for a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewWeight {
    /// The gateway's name.
    pub gateway: String,
    /// The peering's name; absent: the demux's only one.
    pub peering: Option<String>,
    /// The share.
    pub weight: Weight,
}

/// An SA that is to come. All but SPI and key is as the configuration has it for the tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NewSa {
    /// The gateway's name.
    pub gateway: String,
    /// The worker's number on the host; absent: the gateway's only one.
    pub worker: Option<u32>,
    /// The peering's name; absent: the worker's only one.
    pub peering: Option<String>,
    /// The SPI.
    pub spi: u32,
    /// The key file, from the root: the role reads it, not whoever asks.
    pub key_file: PathBuf,
}

/// What a role answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The status document.
    Status(Box<status::Status>),
    /// The SAs that run.
    Sas(Vec<Listed>),
    /// The peerings' tables.
    Tables(Vec<status::Table>),
    /// A cluster has changed.
    Changed(Outcome),
    /// Where the packet goes.
    Explained(Story),
    /// It is done; a sentence that says what.
    Done(String),
    /// It is not done; a sentence that says why, and what to do.
    Refused(String),
}

/// An SA and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The gateway's name.
    pub gateway: String,
    /// The worker's number on the host.
    pub worker: u32,
    /// The SA.
    #[serde(flatten)]
    pub sa: status::Sa,
}
