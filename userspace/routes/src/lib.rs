//! Next hops from the kernel's routes and neighbours, as immutable snapshots.
//!
//! Causeway's frames bypass the kernel's stack, but not its decisions: the kernel keeps the
//! routes and speaks ARP (RFC 826) and NDP (RFC 4861), and this crate mirrors both over rtnetlink.
//! [`Watcher`] runs on the control thread and publishes a new [`Snapshot`] whenever something
//! changed; a worker asks its snapshot for the next hop of each packet, without a lock or a system
//! call.
//!
//! Mirrored are the tables `local`, `main` and, for IPv4, `default`, as the kernel's own rules
//! order them. Not mirrored are policy rules, VRFs, routes by TOS or by source, tunnel
//! encapsulations, IPv4 routes through IPv6 gateways, and the preference that a router advertises
//! for itself (RFC 4191): of routes alike in prefix and metric the kernel's first is used.

mod error;
mod family;
mod hardware;
mod interface;
mod messages;
mod mirror;
mod netlink;
mod notice;
mod questions;
mod ranges;
mod retries;
mod snapshot;
mod watcher;
mod xdp;

pub use error::RoutesError;
pub use hardware::{Channels, Count, Hardware, Offload, Rings, hardware};
pub use interface::{Interface, interface, is_link_local, tx_dropped};
pub use snapshot::{Lookup, Route, Snapshot};
pub use watcher::Watcher;
pub use xdp::XdpFeatures;
