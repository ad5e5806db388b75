//! Times and bounds.

use std::net::IpAddr;
use std::time::Duration;

use crate::message::AtLimit;

/// What a coordinator goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The peering's name in this VPC.
    pub peering: String,
    /// This demux's address, from which its markers come.
    pub own: IpAddr,
    /// The peer's demux.
    pub peer: IpAddr,
    /// How often a marker goes through each pair.
    pub probe_interval: Duration,
    /// A pair through which nothing came for so long is dead.
    pub dead_after: Duration,
    /// How long a change waits for buckets to fall idle before it uses barriers.
    pub idle_time: Duration,
    /// How long packets are held at most.
    pub hold_time: Duration,
    /// What happens to them then.
    pub at_limit: AtLimit,
    /// Buckets that one barrier moves at most.
    pub batch: usize,
    /// How long a new pair has until a marker comes through it.
    pub join_time: Duration,
    /// How long a gateway has to be fenced before it counts as stopped.
    pub fence_time: Duration,
    /// A worker that stood still for so long discards what it finds.
    pub standstill: Duration,
}
