//! Two VPCs in network namespaces, joined by a trunk, with Causeway's roles
//! as processes inside them, and the measurements that are made there.
//!
//! `cargo xtask run`, the end-to-end tests and the perf harness all use this
//! crate. A [`Lab`] owns its namespaces: they go when it is dropped, on a
//! panic, on Ctrl-C, and, if its process was killed, when the next lab starts.
//! It changes nothing outside its own namespaces and `/run/causeway-lab`.
//!
//! ```text
//!  host1 host2 demux gw1..gwN            gw1..gwN demux host2 host1
//!     |    |     |     |                    |       |     |    |
//!   [ switch: bridge and router .1 ]--trunk--[ switch: bridge and router .1 ]
//!       VPC 1, 10.1.0.0/24, fd00:10:1::/64      VPC 2, 10.2.0.0/24, fd00:10:2::/64
//! ```
//!
//! Machines have addresses of the families that tunnels carry or that carry
//! tunnels, and of no other. The routers know only the addresses of the other
//! side's tunnel endpoints, one by one and in the outer family alone, so
//! plaintext between hosts has no way across but through Causeway.

mod cluster;
mod config;
mod distance;
mod fact;
mod ground;
mod http;
mod interrupt;
mod lab;
mod limits;
pub mod measure;
mod netns;
mod options;
mod owner;
mod process;
mod rekey;
mod role;
mod status;
mod sweep;
mod tool;
mod topology;
mod wiring;

pub use cluster::{Change, Held, Moved, Outcome, Pair, Table};
pub use fact::Fact;
pub use ground::Ground;
pub use lab::{Final, Lab};
pub use limits::{Limited, Limits};
pub use options::{Cipher, Encapsulation, Family, Inner, NicMode, Options, Placement};
pub use process::Process;
pub use status::{
    Frames, GatewayCount, Latency, Nic, Reasons, SaChanges, Status, Steering, Volume, Worker,
};
pub use sweep::leftovers;
pub use topology::{Node, Site};
