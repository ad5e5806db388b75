//! Next hops from the kernel's routes and neighbours, as immutable snapshots.
//!
//! Causeway's frames bypass the kernel's stack, but not its decisions: the kernel keeps the
//! routes and speaks ARP (RFC 826), and this crate mirrors both over rtnetlink. [`Watcher`] runs
//! on the control thread and publishes a new [`Snapshot`] whenever something changed; a worker
//! asks its snapshot for the next hop of each packet, without a lock or a system call.
//!
//! Mirrored are the IPv4 tables `local`, `main` and `default`, as the kernel's own three rules
//! order them. Policy rules, VRFs, routes by TOS, tunnel encapsulations and IPv6 gateways are not.

mod error;
mod interface;
mod messages;
mod mirror;
mod netlink;
mod notice;
mod ranges;
mod snapshot;
mod watcher;

pub use error::RoutesError;
pub use interface::{Interface, interface, tx_dropped};
pub use snapshot::{Lookup, Route, Snapshot};
pub use watcher::Watcher;
