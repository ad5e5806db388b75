//! The coordinator's settings.

use std::net::IpAddr;
use std::time::Duration;

use crate::message::HoldTimeoutAction;

/// Addresses, timeouts and limits of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The peering's name in this VPC.
    pub peering: String,
    /// This demux's address, which is the source address of its markers.
    pub own: IpAddr,
    /// The address of the peer's demux.
    pub peer: IpAddr,
    /// The interval of the probes through each pair.
    pub probe_interval: Duration,
    /// A pair counts as dead after this time without a returned marker.
    pub dead_after: Duration,
    /// How long a change waits for buckets to become idle before it uses barriers.
    pub idle_time: Duration,
    /// The most time for which packets are held.
    pub hold_time: Duration,
    /// The action on packets that were held for that time.
    pub hold_timeout_action: HoldTimeoutAction,
    /// The most buckets that one barrier moves.
    pub batch: usize,
    /// The timeout for the first markers through a new pair, and for progress of a change.
    pub join_time: Duration,
    /// The timeout for a gateway's confirmation of a fence. A gateway that does not answer counts as
    /// stopped.
    pub fence_time: Duration,
    /// A worker that did not run for this long discards the packets that it finds.
    pub stall_after: Duration,
}
