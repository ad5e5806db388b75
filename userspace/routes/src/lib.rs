//! Next hops from the kernel's routes and neighbours, as immutable snapshots.
//!
//! Causeway's frames bypass the kernel's network stack but follow its routing. The kernel maintains the
//! routes and resolves neighbours by ARP (RFC 826) and NDP (RFC 4861). This crate mirrors routes and
//! neighbours over rtnetlink. [`Watcher`] runs on the control thread and publishes a new [`Snapshot`] after
//! each change. A worker looks up the next hop of a packet in its snapshot, without a lock or a system call.
//!
//! The crate mirrors the tables `local`, `main` and, for IPv4, `default`, in the order of the kernel's
//! default rules. It does not mirror policy rules, VRFs, routes by TOS or by source, tunnel encapsulations,
//! IPv4 routes through IPv6 gateways, or router preferences (RFC 4191). Of routes with equal prefix and
//! metric, the first in the kernel's list is used.

mod error;
mod family;
pub mod guard;
mod hardware;
mod interface;
mod messages;
mod mirror;
mod netlink;
mod notifications;
mod probes;
mod ranges;
mod retries;
mod snapshot;
mod watcher;
mod xdp;

pub use error::RoutesError;
pub use hardware::{Channels, Count, Hardware, Offload, Rings, hardware};
pub use interface::{Interface, Link, interface, is_link_local};
pub use snapshot::{Lookup, Route, Snapshot};
pub use watcher::Watcher;
pub use xdp::XdpFeatures;
