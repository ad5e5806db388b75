//! A gateway of a cluster.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::change::{Ordinal, Weight};

/// A gateway of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Member {
    /// The number of the gateway's pair.
    pub ordinal: Ordinal,
    /// The gateway's name in this VPC.
    pub name: String,
    /// The address of the gateway's host, if the gateway joined at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// `None` for a drained gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}
